"""Jobs on a Ray cluster make the index and the account of a single process, though processes of it are killed.
soak_ray.py loses more: a node, process after process, and the one that began the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ray._common.usage import usage_lib
from support.indices.scratch import drop, unique_name
from support.ingest.ray_indices import (
    COUNT,
    assert_one_account,
    contents,
    engine,
    fill_index,
    make_index,
    sources,
    vectors_of,
    write_rows,
)
from support.servers.ray_cluster import RayNodes, ray_nodes, ray_settings

from connector.backfill.scan import find_work
from connector.errors import RayUnavailable, SettingsError, SourceError
from connector.ingest.job import run_job
from connector.ingest.ray.cluster import connected
from connector.ingest.ray.shortage import Shortage
from connector.ingest.report import Counts
from connector.settings.ray import RaySettings
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """One cluster for all, and one connection: the processes of each further one would be others."""
    with ray_nodes(tmp_path_factory.mktemp("encoder"), processors=2) as found, asyncio.Runner() as runner:
        connection = connected(RaySettings(address=found.address))
        runner.run(connection.__aenter__())
        yield found
        runner.run(connection.__aexit__(None, None, None))


async def test_the_index_and_the_account_are_those_of_one_process_though_a_process_is_killed(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_name, together_name = unique_name(), unique_name()
    rows, progress = write_rows(tmp_path).name, list[Counts]()
    monkeypatch.chdir(tmp_path)  # no node is there
    on_ray = {"ray": {"address": nodes.address, "encoders": 1, "shards": 4}}
    killed = {"fragile": {"marks": str(tmp_path), "dies": True}}
    fragile = ray_settings(elasticsearch, together_name, plugins=killed, **on_ray)
    try:
        alone = await run_job(rows, ray_settings(elasticsearch, alone_name), rejects=tmp_path / "alone")
        together = await run_job(rows, fragile, rejects=tmp_path / "together", on_progress=progress.append)
        again = await run_job(rows, ray_settings(elasticsearch, together_name), rejects=tmp_path / "again")
        found = await contents(elasticsearch, alone_name), await contents(elasticsearch, together_name)
    finally:
        await drop(elasticsearch, alone_name, together_name)

    assert (tmp_path / "killed").exists()
    assert found[0] == found[1]
    assert_one_account(alone, together, tmp_path)
    assert again.counts.unchanged == alone.counts.written
    assert [counts.progress for counts in progress] == sorted(counts.progress for counts in progress)


async def test_a_back_fill_makes_what_one_process_makes_though_a_process_is_killed(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    alone_name, together_name = unique_name(), unique_name()
    given = ray_settings(elasticsearch, together_name, plugins={"fragile": {"marks": str(tmp_path), "dies": True}})
    on_ray = given.model_copy(update={"ray": RaySettings(address=nodes.address, encoders=2)})
    async with engine(elasticsearch) as cluster:
        try:
            for name in (alone_name, together_name):
                await make_index(cluster, name)
            alone, _ = await fill_index(ray_settings(elasticsearch, alone_name), tmp_path / "alone")
            together, plan = await fill_index(on_ray, tmp_path / "together")
            again, _ = await fill_index(ray_settings(elasticsearch, together_name), tmp_path / "again")
            left = [document for shard in range(3) async for document in find_work(cluster, plan, shard)]
            found = await sources(cluster, alone_name), await sources(cluster, together_name)
        finally:
            await drop(elasticsearch, alone_name, together_name)
    counts = together.counts

    assert (tmp_path / "killed").exists()
    assert found[0] == found[1]
    assert any(len(vector) == 4 for vector in vectors_of(found[1]))
    assert together.ok
    assert counts.written + counts.unchanged == alone.counts.written == COUNT - COUNT // 10
    assert replace(counts, written=alone.counts.written, unchanged=0, passages=alone.counts.passages,
                   retried=0) == replace(alone.counts, retried=0)  # fmt: skip
    assert again.counts.unchanged == alone.counts.written
    assert left == []


def test_a_cluster_that_is_too_small_is_found_once_nothing_is_done_any_more(nodes: RayNodes) -> None:
    fits, too_large = Shortage({"CPU": 1, "GPU": 0}, 0.0), Shortage({"CPU": 64.5}, 0.0)
    found = [too_large.reason(done) for done in (0, 1, 1)]

    assert [fits.reason(0), fits.reason(0)] == [None, None]
    assert found[:2] == [None, None]
    assert str(found[2]).endswith(
        " CPU and the job needs 64.5, and no node came for 0 s; run it again to go on without"
    )


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:9", "no Ray cluster at 127.0.0.1:9 (Connection refused); start one with: ray start --head"),
        ("ray://head:10001", "run the command on a node of the cluster, with --ray auto"),
        ("head", "'head' is no address of a Ray cluster; give HOST:PORT, auto or local"),
    ],
)
async def test_an_address_of_no_use_is_refused_before_anything_is_made(
    elasticsearch: ClusterSettings, tmp_path: Path, address: str, says: str
) -> None:
    name = unique_name()
    rows = str(write_rows(tmp_path))

    with pytest.raises(RayUnavailable) as caught:
        await run_job(rows, ray_settings(elasticsearch, name, ray={"address": address}), rejects=tmp_path / "rejects")
    assert says in str(caught.value)
    async with engine(elasticsearch) as cluster:
        assert name not in await cluster.client.request("GET", "/_alias", timeout_s=60)


def test_its_reports_of_use_are_off(nodes: RayNodes) -> None:
    assert not usage_lib.usage_stats_enabled()


async def test_what_cannot_run_there_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    store = ClusterSettings(url=f"embedded:{tmp_path / 'store'}")
    on_ray = ray_settings(store, "docs", ray={"address": "local"})

    with pytest.raises(SettingsError, match=r"one writer at a time, and a Ray cluster has several; set cluster\.url"):
        await run_job(str(write_rows(tmp_path)), on_ray)
    with pytest.raises(SourceError, match="a pipe can be read by this process alone"):
        await run_job("-", on_ray)
    assert not (tmp_path / "store").exists()
