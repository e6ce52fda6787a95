"""What costs too much for CI, and is run by `make soak`: a node is lost, processes of jobs on Ray are killed one after
the other, and the process that began a job, which is then begun again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.indices.scratch import drop, engine_client, unique_name
from support.ingest.ray_indices import (
    COUNT,
    assert_one_account,
    contents,
    engine,
    fill_index,
    make_index,
    sources,
    write_rows,
)
from support.programs.command import environment
from support.runs.effort import tries
from support.runs.patience import PATIENCE_S
from support.servers.ray_cluster import RayNodes, appeared, ray_nodes, ray_settings

from connector.backfilled import AddedNames
from connector.clusters.rest import RestCluster
from connector.ingest.job import run_job
from connector.ingest.report import Counts
from connector.settings.sections import ClusterSettings

pytestmark = [pytest.mark.live, pytest.mark.timeout(1_800)]
SLOW = ("--set", "plugins.fragile.pause_s=0.1", "--set", "ray.encoders=2", "--set", "ingest.group_documents=10")
END_S = 180.0  # Ray's agents look for their parent once in a while


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the encoder's package."""
    return tmp_path_factory.mktemp("encoder")


@pytest.fixture(scope="module")
def nodes(folder: Path) -> Iterator[RayNodes]:
    with ray_nodes(folder, processors=3) as found:
        yield found


async def test_an_ingest_finishes_as_one_process_does_though_a_node_is_lost(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    alone_name, together_name = unique_name(), unique_name()
    rows, progress = str(write_rows(tmp_path)), list[Counts]()
    on_ray = {"ray": {"address": nodes.address, "encoders": 2, "shards": 4}}
    given = {"fragile": {"marks": str(tmp_path), "waits_s": PATIENCE_S}}
    fragile = ray_settings(elasticsearch, together_name, plugins=given, **on_ray)
    try:
        alone = await run_job(rows, ray_settings(elasticsearch, alone_name), rejects=tmp_path / "alone")
        nodes.add_doomed_node()
        job = asyncio.create_task(run_job(rows, fragile, rejects=tmp_path / "together", on_progress=progress.append))
        await appeared(tmp_path / "on_doomed", job)
        await asyncio.to_thread(nodes.lose_node)
        together = await job
        again = await run_job(rows, ray_settings(elasticsearch, together_name), rejects=tmp_path / "again")
        found = await contents(elasticsearch, alone_name), await contents(elasticsearch, together_name)
    finally:
        await drop(elasticsearch, alone_name, together_name)

    assert (tmp_path / "on_doomed").exists()
    assert found[0] == found[1]
    assert_one_account(alone, together, tmp_path)
    assert again.counts.unchanged == alone.counts.written
    assert [counts.progress for counts in progress] == sorted(counts.progress for counts in progress)


async def test_an_index_that_is_dropped_meanwhile_is_not_made_anew(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    name, rows = unique_name(), str(write_rows(tmp_path))
    given = {"ray": {"address": nodes.address, "encoders": 2, "shards": 5}, "ingest": {"group_documents": 10}}
    slowly = ray_settings(elasticsearch, name, plugins={"fragile": {"pause_s": 0.1}}, **given)
    with engine_client(elasticsearch) as client:

        def drop_it(counts: Counts) -> None:
            if counts.written:
                client.delete(f"/{name}")

        report = await run_job(rows, slowly, rejects=tmp_path / "rejects", on_progress=drop_it)
        found = await asyncio.to_thread(client.get, f"/{name}")
    counts = report.counts

    assert found.status_code == 404
    assert str(report.stopped).startswith(f"index {name!r} was deleted or made anew while it was in use")
    assert report.unfinished > 0
    assert counts.read == counts.written + counts.unchanged + counts.failed + report.unfinished


@pytest.mark.parametrize("where", ["address", "local"])
async def test_an_ingest_whose_driver_is_killed_is_run_again(
    nodes: RayNodes, folder: Path, elasticsearch: ClusterSettings, tmp_path: Path, where: str
) -> None:
    alone_name, name = unique_name(), unique_name()
    rows = write_rows(tmp_path).name
    flags = ["ingest", rows, "--text", "title=2,text=1", "--metadata", "year=integer", *SLOW]
    flags += ["--cluster", elasticsearch.url, "--index", name, "--set", "encoder.kind=fragile"]
    flags += ["--ray", nodes.address if where == "address" else "local"]
    alone_settings, settings = (ray_settings(elasticsearch, own_name) for own_name in (alone_name, name))
    async with engine(elasticsearch) as cluster:
        try:
            await run_job(str(tmp_path / rows), alone_settings, rejects=tmp_path / "alone")
            for _ in range(tries(1) // 4 or 1):
                await kill_driver(flags, folder, tmp_path, cluster, name)
            finished = command(flags, folder, tmp_path)
            assert finished.wait(900) == 1  # some rows cannot be documents
            again = await run_job(str(tmp_path / rows), settings, rejects=tmp_path / "again")
            found = await contents(elasticsearch, alone_name), await contents(elasticsearch, name)
        finally:
            await drop(elasticsearch, alone_name, name)

    assert found[0] == found[1]
    assert again.counts.written == 0
    assert again.counts.unchanged == len(found[0]["hashes"]) > COUNT // 2


async def test_a_back_fill_whose_driver_is_killed_is_run_again(
    nodes: RayNodes, folder: Path, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    alone_name, name = unique_name(), unique_name()
    flags = ["backfill", name, "--text", "title,text", "--yes", "--cluster", elasticsearch.url, *SLOW]
    flags += ["--set", "encoder.kind=fragile", "--ray", nodes.address]
    async with engine(elasticsearch) as cluster:
        try:
            for index in (alone_name, name):
                await make_index(cluster, index)
            alone, _ = await fill_index(ray_settings(elasticsearch, alone_name), tmp_path / "alone")
            await kill_driver(flags, folder, tmp_path, cluster, name, query={"exists": {"field": AddedNames().marker}})
            finished = command(flags, folder, tmp_path)
            assert finished.wait(900) == 0
            again, _ = await fill_index(ray_settings(elasticsearch, name), tmp_path / "again")
            found = await sources(cluster, alone_name), await sources(cluster, name)
        finally:
            await drop(elasticsearch, alone_name, name)

    assert found[0] == found[1]
    assert again.counts.unchanged == alone.counts.written


async def test_an_ingest_finishes_though_process_after_process_is_killed(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    name, done = unique_name(), threading.Event()
    rows = str(write_rows(tmp_path))
    given = {"ray": {"address": nodes.address, "encoders": 2, "shards": 5}}
    killers = [
        asyncio.create_task(asyncio.to_thread(kill_processes, title, done, tries(1)))
        for title in ("ray::MapWorker(MapBatches(EncodeDocuments)).submit", "ray::Write")
    ]
    try:
        slowly = ray_settings(elasticsearch, name, plugins={"fragile": {"pause_s": 0.02}}, **given)
        report = await run_job(rows, slowly, rejects=tmp_path / "rejects")
        done.set()
        killed = await asyncio.gather(*killers)
        again = await run_job(rows, ray_settings(elasticsearch, name), rejects=tmp_path / "again")
    finally:
        done.set()
        await drop(elasticsearch, name)

    assert min(killed) >= 1, killed
    assert report.stopped is None
    assert again.counts.unchanged == report.counts.written + report.counts.unchanged


async def test_a_job_for_which_the_cluster_is_too_small_ends_with_the_reason(
    nodes: RayNodes, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    name = unique_name()
    large = {"ray": {"address": nodes.address, "encoders": 1, "encoder_cpus": 64, "shards": 1, "wait_s": 0.6}}
    try:
        report = await run_job(str(write_rows(tmp_path)), ray_settings(elasticsearch, name, **large))
    finally:
        await drop(elasticsearch, name)

    assert report.stopped
    assert "CPU and the job needs 64.5, and no node came for 0.6 s; run it again" in report.stopped
    assert report.counts.written == 0


def command(flags: list[str], folder: Path, cwd: Path) -> subprocess.Popen[bytes]:
    """A command under way, whose processes know the encoder."""
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    log = (cwd / "log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-m", "connector", *flags], cwd=cwd, env=environment() | {"PYTHONPATH": paths},
        stdout=log, stderr=log,
    )  # fmt: skip


async def kill_driver(
    flags: list[str], folder: Path, cwd: Path, cluster: RestCluster, index: str, query: object = None
) -> None:
    """Kill the command once something is written, and wait until none of its processes is left."""
    running = command(flags, folder, cwd)
    before = written = await count(cluster, index, query)
    while written == before and running.poll() is None:
        await asyncio.sleep(0.1)
        written = await count(cluster, index, query)
    children = descendants(running.pid)
    running.kill()
    running.wait()
    end = time.monotonic() + END_S
    while left := [pid for pid in children if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        await asyncio.sleep(0.1)

    assert running.returncode == -signal.SIGKILL, (cwd / "log").read_text()


async def count(cluster: RestCluster, index: str, query: object) -> int:
    """How many documents a search finds; none where the index is not there yet."""
    body = {"query": query or {"match_all": {}}}
    path = f"/{index}/_count?ignore_unavailable=true"
    await cluster.client.request("POST", f"/{index}/_refresh?ignore_unavailable=true", timeout_s=60)
    return int((await cluster.client.request("POST", path, body=body, timeout_s=60))["count"])


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, todo = list[int](), [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def kill_processes(title: str, done: threading.Event, most: int) -> int:
    """Kill processes of Ray of that title, one after the other as they begin to work; how many were killed."""
    killed: set[int] = set()
    while len(killed) < most and not done.wait(0.05):
        for folder in Path("/proc").glob("[0-9]*"):
            pid = int(folder.name)
            try:
                found = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if found.startswith(title.encode()) and pid not in killed and len(killed) < most:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed)
