"""An ingest job on a local Ray cluster makes the index and the account of a single process, though processes of it
are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._common.usage import usage_lib
from support.effort import tries
from support.plugins import installed, write_package
from support.scratch import drop, unique_name

from connector.backfill.fields import BackfillPlan
from connector.backfill.planning import BackfillWish
from connector.backfill.report import BackfillReport
from connector.backfill.run import fill, preparing
from connector.backfill.scan import find_work
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError, SourceError
from connector.ingest.job import run_job
from connector.ingest.report import Counts, JobReport
from connector.settings.ray import RaySettings
from connector.settings.sections import ClusterSettings, Settings

pytestmark = pytest.mark.live
COUNT = 400
# an encoder that takes its time, so that processes can be killed while it is at work
SLOW = """
import time
import numpy as np
from connector.schema import EncoderFingerprint

class Encoder:
    def __init__(self, settings, options):
        self.pause_s = float(options["pause_s"])
        self.fingerprint = EncoderFingerprint("slow", "1", 4, 64)
    def encode(self, texts):
        time.sleep(self.pause_s * len(texts))
        return np.array([self.encode_query(text) for text in texts], dtype=np.float32).reshape(len(texts), 4)
    def encode_query(self, text):
        vector = np.array([1 + len(text), text.count("a"), text.count("7"), 1], dtype=np.float32)
        return vector / np.linalg.norm(vector)
    def token_offsets(self, texts):
        return [[(0, len(text))] if text else [] for text in texts]
"""


@pytest.fixture(scope="module")
def cluster_of_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A local cluster, whose processes know the slow encoder."""
    folder = tmp_path_factory.mktemp("slow")
    write_package(
        folder, "slow-encoder", "1", {"hybrid_search_connector.encoders": {"slow": "slow:Encoder"}}, {"slow.py": SLOW}
    )
    with installed(folder), pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(":")]))
        ray.init(num_cpus=3, object_store_memory=100_000_000, include_dashboard=False, configure_logging=False,
                 log_to_driver=False)  # fmt: skip
        yield
        ray.shutdown()


def settings(cluster: ClusterSettings, index: str, **given: Any) -> Settings:
    sections = {
        "cluster": {"url": cluster.url},
        "index": {"name": index},
        "fields": {"text": {"title": 2.0, "text": 1.0}, "metadata": {"year": "integer"}},
        "encoder": {"kind": "slow"},
        "ingest": {"group_documents": 20},
        "plugins": {"slow": {"pause_s": 0.0}},
    }
    return Settings.model_validate(sections | given)


def write_rows(folder: Path) -> Path:
    """Rows with ids that repeat, far from each other too, a year that is none, and lines that are no JSON."""
    lines = []
    for number in range(COUNT):
        doc_id = str(number % 390)
        year = "never" if number % 83 == 0 else 2000 + number % 20
        lines.append(json.dumps({"_id": doc_id, "title": f"T {number}", "text": "a 7 b " * (number % 9), "year": year,
                                 "unused": number}))  # fmt: skip
        lines += ["{broken"] if number % 97 == 0 else []
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


async def contents(cluster: ClusterSettings, index: str) -> dict[str, Any]:
    connected = await connect(cluster)
    try:
        opened = await connected.open_index(index)
        hashes = {doc_id: hashed async for doc_id, hashed in opened.scan()}
        return {"hashes": hashes, "fields": await opened.get([*hashes], fields=None, timeout_s=30.0)}
    finally:
        await connected.close()


def kill_processes(named: str, done: threading.Event, count: int) -> int:
    """Kill processes of Ray of that name, one after the other as they begin to work; how many were killed."""
    killed: set[int] = set()
    while len(killed) < count and not done.wait(0.02):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            pid = int(folder.name)
            if title.startswith(named.encode()) and pid not in killed and len(killed) < count:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed)


def account(report: JobReport) -> tuple[Any, ...]:
    counts = replace(report.counts, progress=1.0, retried=0)
    return counts, report.unused, report.notes, report.stopped, report.kept_missing


async def test_the_index_and_the_account_are_those_of_one_process_though_processes_are_killed(
    cluster_of_ray: None, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    one, several = unique_name(), unique_name()
    rows, done, progress = write_rows(tmp_path), threading.Event(), list[Counts]()
    on_ray = {"ray": {"address": "local", "encoders": 2, "shards": 5}}
    killers = [
        asyncio.create_task(asyncio.to_thread(kill_processes, name, done, tries(1)))
        for name in ("ray::MapWorker(MapBatches(EncodeDocuments)).submit", "ray::Write")
    ]
    try:
        alone = await run_job(str(rows), settings(elasticsearch, one), rejects=tmp_path / "one")
        slowly = settings(elasticsearch, several, plugins={"slow": {"pause_s": 0.01}}, **on_ray)
        together = await run_job(str(rows), slowly, rejects=tmp_path / "several", on_progress=progress.append)
        done.set()
        killed = await asyncio.gather(*killers)
        again = await run_job(str(rows), settings(elasticsearch, several), rejects=tmp_path / "again")
        found = await contents(elasticsearch, one), await contents(elasticsearch, several)
    finally:
        done.set()
        await drop(elasticsearch, one, several)

    assert min(killed) >= 1, killed
    assert found[0] == found[1]
    assert together.counts.written + together.counts.unchanged == alone.counts.written > 300
    assert account(replace(together, counts=replace(together.counts, written=alone.counts.written, unchanged=0,
                                                    passages=alone.counts.passages))) == account(alone)  # fmt: skip
    assert sorted((tmp_path / "several").read_text().splitlines()) == sorted(
        (tmp_path / "one").read_text().splitlines()
    )
    assert again.counts.unchanged == alone.counts.written
    assert [counts.progress for counts in progress] == sorted(counts.progress for counts in progress)


async def test_a_back_fill_shares_out_the_shards_and_finds_what_is_left_where_a_process_was_killed(
    cluster_of_ray: None, elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    name, done = unique_name(), threading.Event()
    given = settings(elasticsearch, name, plugins={"slow": {"pause_s": 0.02}})
    on_ray = given.model_copy(update={"ray": RaySettings(address="local", encoders=2)})
    killer = asyncio.create_task(asyncio.to_thread(kill_processes, "ray::fill_shards", done, tries(1)))
    connected = await connect(elasticsearch)
    assert isinstance(connected, RestCluster)
    try:
        await make_index(connected, name)
        report, _ = await fill_index(on_ray, tmp_path / "rejects")
        done.set()
        killed = await killer
        again, plan = await fill_index(given, tmp_path / "again")
        left = [document for shard in range(3) async for document in find_work(connected, plan, shard)]
    finally:
        done.set()
        await connected.close()
        await drop(elasticsearch, name)
    counts = report.counts

    assert killed >= 1
    assert report.ok
    assert counts.found == COUNT == counts.written + counts.unchanged + counts.without_text
    assert counts.without_text == again.counts.without_text == COUNT // 10
    assert again.counts.unchanged == COUNT - COUNT // 10
    assert left == []


async def fill_index(given: Settings, rejects: Path) -> tuple[BackfillReport, BackfillPlan]:
    async with preparing(given, BackfillWish({"title": 2.0, "text": 1.0})) as prepared:
        (report,) = await fill(prepared, rejects=rejects)
        return report, prepared.plans[0]


async def make_index(connected: RestCluster, name: str) -> None:
    """An index of somebody else with three shards, in which each tenth document has no text."""
    texts = {"title": {"type": "text"}, "text": {"type": "text"}}
    body = {"settings": {"number_of_shards": 3, "number_of_replicas": 0}, "mappings": {"properties": texts}}
    await connected.client.request("PUT", f"/{name}", body=body, timeout_s=60)
    actions = []
    for number in range(COUNT):
        source = {"title": f"T {number}", "text": "a 7 b " * (1 + number % 9)} if number % 10 else {"other": number}
        actions.append(
            b"%b\n%b\n" % (json.dumps({"index": {"_id": str(number)}}).encode(), json.dumps(source).encode())
        )
    await connected.client.bulk(name, actions, timeout_s=60)
    await connected.client.request("POST", f"/{name}/_refresh", timeout_s=60)


def test_its_reports_of_use_are_off(cluster_of_ray: None) -> None:
    assert not usage_lib.usage_stats_enabled()


async def test_what_cannot_run_there_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    store = ClusterSettings(url=f"embedded:{tmp_path / 'store'}")

    with pytest.raises(SettingsError, match=r"one writer at a time, and a Ray cluster has several; set cluster\.url"):
        await run_job(str(write_rows(tmp_path)), settings(store, "docs", ray={"address": "local"}))
    with pytest.raises(SourceError, match="a pipe can be read by this process alone"):
        await run_job("-", settings(store, "docs", ray={"address": "local"}))
    assert not (tmp_path / "store").exists()
