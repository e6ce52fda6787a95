"""Jobs that write while the engine's write queue is full: how soon they are back at their pace, what an application
notices of them, and whether every document is there in the end.

    make bench-flood                                            # Elasticsearch 9.3.2 and OpenSearch 2.19.1
    make bench-flood ARGS="--engines opensearch:3.6.0 --jobs backfill --flood 60 --documents 20000"

Each engine is started for it, with one thread that writes and room for a few requests that wait. An application writes
bulk requests from many threads at once, and sends what was rejected (429) again after a moment, as clients do. Each job
runs for some seconds alone, then beside the application, then alone again to its end; last the application runs alone.
How much was written is asked of the engine twice a second. The pace is documents per second; it is back once a second
reaches most of what it was before. The jobs' encoder costs next to nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from machine import print_result
from rich.console import Console
from rich.table import Table

from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.settings.sections import ClusterSettings

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]
from flooded_jobs import JOBS, FloodedJob  # noqa: E402

SHARDS = 4
ROOM = 8  # requests that may wait for the thread that writes
BULK = 10  # documents of one request of the application
AGAIN_S = 0.05  # after which it sends again what was rejected
EVERY_S = 0.5
BACK = 0.75  # of the pace before
TINY = {"thread_pool.write.size": 1, "thread_pool.write.queue_size": ROOM}
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(slots=True)
class Application:
    """Writes to an index of its own from many threads, as much as the engine takes."""

    url: str
    index: str
    threads: int
    written: int = 0
    rejected: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        running = [threading.Thread(target=self._write, args=(number,)) for number in range(self.threads)]
        for thread in running:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in running:
                thread.join()

    def describe(self, seconds: float) -> dict[str, float]:
        sent = self.written + self.rejected
        return {"docs_per_s": round(self.written / seconds, 1), "rejected": round(self.rejected / (sent or 1), 3)}

    def _write(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            left: list[str] = []
            at = 0
            while not self._stop.is_set():
                fresh = range(at, at + BULK - len(left))
                left += [f"o{number}-{place}" for place in fresh]
                at = fresh.stop
                left = self._send(client, left)
                if left:
                    self._stop.wait(AGAIN_S)

    def _send(self, client: httpx.Client, ids: Sequence[str]) -> list[str]:
        """The ids of those that were rejected."""
        reply = client.post(
            f"/{self.index}/_bulk", content=bulk_of(ids), headers={"content-type": "application/x-ndjson"}
        )
        if reply.status_code == 429:
            rejected = list(ids)
        else:
            items = [item["index"] for item in reply.raise_for_status().json()["items"]]
            rejected = [item["_id"] for item in items if item["status"] == 429]
        with self._lock:
            self.written += len(ids) - len(rejected)
            self.rejected += len(rejected)
        return rejected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["elasticsearch:9.3.2", "opensearch:2.19.1"])
    parser.add_argument("--cluster", help="an engine's URL, whose queue is as large as it is: to try the bench itself")
    parser.add_argument("--jobs", nargs="+", default=[*JOBS], choices=JOBS)
    parser.add_argument("--documents", type=int, default=6_000, help="that each job writes")
    parser.add_argument("--calm", type=float, default=3, help="seconds before the flood")
    parser.add_argument("--flood", type=float, default=15, help="seconds of the flood")
    parser.add_argument("--threads", type=int, default=12, help="of the application")
    options = parser.parse_args()
    if options.cluster:
        found = {options.cluster: measure(options.cluster, options)}
    else:
        found = {engine: measure_started(engine, options) for engine in options.engines}
    print_found(found)
    print_result({"bench": "flood", "engines": found})


def measure_started(engine: str, options: argparse.Namespace) -> dict[str, Any]:
    import engines

    kind, _, version = engine.partition(":")
    console.print(f"{engine} starts")
    server = engines.start(kind, version, settings=TINY, java_options=SHORT_LIVED)
    try:
        return measure(server["url"], options)
    finally:
        engines.stop(server)


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Each job beside the application, and the application alone."""
    orders = make_index(url)
    try:
        jobs = {name: asyncio.run(measure_beside(url, orders, name, options)) for name in options.jobs}
        alone = Application(url, orders, options.threads)  # last, when the engine is as warm as it was for the jobs
        with alone.at_work():
            time.sleep(options.flood)
        return {"application_alone": alone.describe(options.flood), "jobs": jobs}
    finally:
        drop(url, orders)


async def measure_beside(url: str, orders: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A job before, during and after a flood."""
    console.print(f"{name} before, during and after a flood")
    shop = make_index(url, 0 if name == "ingest" else options.documents)
    cluster = await connect(ClusterSettings(url=url))
    assert isinstance(cluster, RestCluster)
    job: FloodedJob | None = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            job = await JOBS[name](cluster, shop, options.documents, Path(folder))
            seen: list[tuple[float, int]] = []
            running, watching = asyncio.ensure_future(job.run()), asyncio.create_task(watch(url, job.written_to, seen))
            writing = asyncio.create_task(wait_for_writes(seen))  # the job looks before it writes
            await asyncio.wait([running, writing], return_when=asyncio.FIRST_COMPLETED)
            writing.cancel()
            await asyncio.wait([running], timeout=options.calm)
            application, began = Application(url, orders, options.threads), time.monotonic()
            with application.at_work():
                await asyncio.sleep(options.flood)
                ended = time.monotonic()
            counts = await running
            watching.cancel()
            pace = describe_pace(seen, began, ended)
            passages = await job.count_passages()
        return counts | pace | {"there": passages, "application_beside": application.describe(options.flood)}
    finally:
        await cluster.close()
        for index in {shop, *([job.written_to] if job else [])}:
            drop(url, index)


async def watch(url: str, index: str, seen: list[tuple[float, int]]) -> None:
    """Add (when, how many writes the engine has done) until it is cancelled."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        with suppress(asyncio.CancelledError):
            while True:
                reply = (await client.get(f"/{index}/_stats/indexing")).json()
                seen.append((time.monotonic(), reply["_all"]["primaries"]["indexing"]["index_total"]))
                await asyncio.sleep(EVERY_S)


async def wait_for_writes(seen: Sequence[tuple[float, int]]) -> None:
    """Return once the last look found more writes than the first."""
    looks = 0
    while looks == len(seen) or seen[-1][1] == seen[0][1]:
        looks = len(seen)
        await asyncio.sleep(EVERY_S)


def describe_pace(seen: Sequence[tuple[float, int]], began: float, ended: float) -> dict[str, Any]:
    """Documents per second before and during the flood, and how soon after it they are as many as before."""
    first = next((at for at, count in seen if count > seen[0][1]), seen[0][0])
    before, during = pace_between(seen, first, began), pace_between(seen, began, ended)
    late = [at for at, _ in seen if at > ended + EVERY_S]
    back = next((at for at in late if pace_between(seen, at - 2 * EVERY_S, at) >= BACK * before), None)
    return {
        "documents_per_s": {"before": round(before, 1), "during": round(during, 1)},
        "back_after_s": None if back is None else round(back - ended, 1),
        "after_flood_s": round(seen[-1][0] - ended, 1),
    }


def pace_between(seen: Sequence[tuple[float, int]], start: float, end: float) -> float:
    """Documents per second between two moments, by the looks nearest to them."""
    within = [(at, count) for at, count in seen if start - EVERY_S / 2 <= at <= end + EVERY_S / 2]
    if len(within) < 2:
        return 0.0
    return (within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0])


def make_index(url: str, documents: int = 0) -> str:
    """An index of so many documents; its name."""
    name = f"flood-{secrets.token_hex(4)}"
    with httpx.Client(base_url=url, timeout=60) as client:
        knn = {"index.knn": True} if "distribution" in client.get("/").json()["version"] else {}
        settings = {"number_of_shards": SHARDS, "number_of_replicas": 0} | knn
        mappings = {"properties": {"title": {"type": "text"}}}
        client.put(f"/{name}", json={"settings": settings, "mappings": mappings}).raise_for_status()
        client.get(f"/_cluster/health/{name}?wait_for_status=yellow").raise_for_status()
        ids = [f"d{at}" for at in range(documents)]
        for start in range(0, documents, 1_000):
            body = bulk_of(ids[start : start + 1_000])
            headers = {"content-type": "application/x-ndjson"}
            while client.post(f"/{name}/_bulk", content=body, headers=headers).raise_for_status().json()["errors"]:
                time.sleep(AGAIN_S)
        client.post(f"/{name}/_refresh").raise_for_status()
    return name


def drop(url: str, index: str) -> None:
    httpx.delete(f"{url}/{index}", params={"ignore_unavailable": "true"}, timeout=60)


def bulk_of(ids: Sequence[str]) -> str:
    title = "a lamp of brass with a shade of green glass"
    return "".join(
        f"{json.dumps({'index': {'_id': doc_id}})}\n{json.dumps({'title': f'{title} {doc_id}'})}\n" for doc_id in ids
    )


def print_found(found: dict[str, dict[str, Any]]) -> None:
    columns = ("engine", "job", "docs/s before", "during", "back after s", "there", "failed", "application's rejected")
    table = Table(*columns)
    for engine, figures in found.items():
        alone = figures["application_alone"]
        table.add_row(engine, "none", "", "", "", "", "", f"{alone['rejected']:.0%} of {alone['docs_per_s']:,.0f}/s")
        for job, counts in figures["jobs"].items():
            beside, pace = counts["application_beside"], counts["documents_per_s"]
            table.add_row(
                engine,
                job,
                *(f"{pace[when]:,.0f}" for when in ("before", "during")),
                str(counts["back_after_s"]),
                f"{counts['there']:,}",
                f"{counts['failed']:,}",
                f"{beside['rejected']:.0%} of {beside['docs_per_s']:,.0f}/s",
            )
    console.print(table)


if __name__ == "__main__":
    main()
