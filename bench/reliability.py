"""What is lost when things are killed: nothing, measured.

    make bench-reliability                              # 200 kills of an ingest on each engine, 30 minutes of searches
    make bench-reliability ARGS="--kills 20 --minutes 2"
    make bench-reliability ARGS="--cluster http://localhost:9200"   # there, in indexes that are dropped at the end

Kills: an ingest job into Elasticsearch and one into OpenSearch are killed (SIGKILL) at random moments, four in five of
them after they have begun to work (the others also while they load), and run again. Whenever a run comes to its end,
and at the very end, the index is compared with the source, document by document and passage by passage; then every row
of the source changes, so that there is work again.

Searches: a few clients search without pause while the worker is killed two seconds after it was started, or two seconds
after it was ready, by chance, and started again; and while now one leg, now the other is cut off, never both within one
search (refused, reset, half answered, or left without an answer). Every search has to be answered by its deadline."""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from machine import print_result
from rich.console import Console
from rich.progress import Progress

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import engines  # noqa: E402
from loopback_ports import free_port  # noqa: E402
from support.programs.command import Launcher, Running, launching  # noqa: E402
from support.servers.proxy import Fault, Proxy, Seen  # noqa: E402

from connector.client import Connector  # noqa: E402
from connector.errors import ConnectorError  # noqa: E402
from connector.evaluation.files.datasets import read_collection  # noqa: E402
from connector.evaluation.statistics.latency import percentile  # noqa: E402
from connector.ingest.job import run_job  # noqa: E402
from connector.settings.load import load_settings  # noqa: E402
from connector.types import SearchRequest  # noqa: E402

ENGINES = (("elasticsearch", "9.3.2"), ("opensearch", "2.19.1"))
GROUP = 20
DEADLINE_S = 5.0
LATE_S = 0.25  # what an answer may be late by on a busy machine
KILL_WORKER_AFTER_S = 2.0
POLL_S = 0.1
EARLY_SHARE = 0.2  # of the kills: at any moment since the job's start, also while it loads
CLIENTS = 2
LEG_FAULTS: tuple[Fault, ...] = ("refuse", "reset", "stall", "half", "garbage")
console = Console(stderr=True, highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of the ingest job, on each engine")
    parser.add_argument("--minutes", type=float, default=30.0, help="of searches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=300, help="of the source that is ingested")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "examples" / "corpus", help="what is searched, BEIR's layout"
    )
    parser.add_argument("--cluster", action="append", help="use this one instead of starting engines; can be repeated")
    parser.add_argument("--index", default="bench-reliability", help="what the names of its indexes begin with")
    options = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the proxy breaks off replies on purpose
    with running(options.cluster) as urls, launching() as launcher:
        with tempfile.TemporaryDirectory(prefix="bench-reliability-") as folder:
            kills = asyncio.run(kill_ingests(launcher, urls, Path(folder), options))
            searches = asyncio.run(search_among_failures(launcher, *next(iter(urls.items())), Path(folder), options))
    print_result({"bench": "reliability", "ingest": kills, "search": searches})
    ok = all(found["lost"] == found["doubled"] == found["wrong"] == 0 for found in kills.values())
    sys.exit(0 if ok and searches["in_time"] == searches["queries"] else 1)


@contextlib.contextmanager
def running(clusters: Sequence[str] | None) -> Iterator[dict[str, str]]:
    """Name and URL of the clusters to use: those given, or engines that run as long as the block."""
    if clusters:
        yield {url: url for url in clusters}
        return
    servers = {}
    try:
        for kind, version in ENGINES:
            console.print(f"starting {kind} {version}")
            servers[f"{kind} {version}"] = engines.start(kind, version, wait_s=600)
        yield {name: server["url"] for name, server in servers.items()}
    finally:
        for server in servers.values():
            engines.stop(server)


async def kill_ingests(
    launcher: Launcher, urls: Mapping[str, str], folder: Path, options: argparse.Namespace
) -> dict[str, dict[str, int]]:
    """What was found wrong in each engine's index, over so many kills of the job that fills it."""
    results = {}
    with Progress(console=console) as progress:
        for number, (name, url) in enumerate(urls.items()):
            task = progress.add_task(f"killing an ingest into {name}", total=options.kills)
            home = folder / str(number)
            home.mkdir()
            async with Proxy(url) as proxy:
                proxy.seen = collections.deque(maxlen=1)  # type: ignore[assignment]
                victim = Victim(launcher, proxy.url, home, options)
                proxy.fault = victim.notice
                while victim.found["kills"] < options.kills:
                    await victim.run_and_kill()
                    progress.update(task, completed=victim.found["kills"])
                await victim.run_to_the_end()
            await drop(url, victim.index)
            results[name] = dict(victim.found)
    return results


async def drop(url: str, index: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        (await client.delete(f"/{index}")).raise_for_status()


class Victim:
    """An ingest job that is killed again and again, its source, and what was found in its index."""

    def __init__(self, launcher: Launcher, url: str, folder: Path, options: argparse.Namespace) -> None:
        self.index = f"{options.index}-ingest"
        self._launcher, self._url, self._folder = launcher, url, folder
        self._chance, self._row_count = random.Random(options.seed), options.rows
        self._version = 0
        self._works = asyncio.Event()  # the job under way asks for its first documents: it has loaded all it needs
        self._usual_s = 2.0  # what is left of an undisturbed run from then on; learnt from those that end
        self.found = collections.Counter(kills=0, at_work=0, completed=0, lost=0, doubled=0, wrong=0)
        self._change_source()

    def notice(self, seen: Seen) -> None:
        """What the proxy before the engine tells of each request."""
        if seen.path.endswith("/_mget"):
            self._works.set()

    async def run_and_kill(self) -> None:
        """Start the job and kill it at a random moment, mostly of its work; check, where it was done before."""
        self._works.clear()
        running, began = self._start(), time.monotonic()
        ended = asyncio.wrap_future(running.ended)
        if self._chance.random() < EARLY_SHARE:
            await asyncio.wait([ended], timeout=self._chance.uniform(0.0, self._usual_s))
        else:
            working = asyncio.create_task(self._works.wait())
            waiting: list[asyncio.Future[Any]] = [ended, working]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            began = time.monotonic()
            await asyncio.wait([ended], timeout=self._chance.uniform(0.0, 1.1) * self._usual_s)
        if not ended.done():
            running.kill()
            await ended
            self.found["kills"] += 1
            self.found["at_work"] += self._works.is_set()
            return
        self._usual_s = 0.7 * self._usual_s + 0.3 * (time.monotonic() - began)
        await self._check(running)

    async def run_to_the_end(self) -> None:
        running = self._start()
        await asyncio.wrap_future(running.ended)
        await self._check(running)

    def _start(self) -> Running:
        sets = {"ingest.group_documents": GROUP, "passages.max_tokens": 48}
        arguments = [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]
        return self._launcher.start(
            "ingest", "rows.jsonl", "--cluster", self._url, "--index", self.index, "--json", *arguments,
            cwd=self._folder,
        )  # fmt: skip

    async def _check(self, running: Running) -> None:
        """Compare the index with the source, then change the source."""
        ended = running.wait()
        if ended.code != 0:
            raise SystemExit(f"the job ended with {ended.code}:\n{ended.stderr}")
        self.found["completed"] += 1
        async with httpx.AsyncClient(base_url=f"{self._url}/{self.index}", timeout=60) as client:
            body = {"size": 2 * self._row_count, "_source": {"excludes": ["passages.vector"]}}
            hits = (await client.post("/_search", json=body)).raise_for_status().json()["hits"]["hits"]
            stats = (await client.get("/_stats/docs")).raise_for_status().json()
        stored = {hit["_id"]: hit["_source"] for hit in hits}
        parts = len(hits) + sum(len(source["passages"]) for source in stored.values())
        self.found["lost"] += len(self._rows.keys() - stored.keys())
        self.found["doubled"] += len(hits) - len(stored) + len(stored.keys() - self._rows.keys())
        self.found["doubled"] += stats["_all"]["primaries"]["docs"]["count"] - parts  # Lucene counts passages too
        self.found["wrong"] += sum(
            stored[doc_id]["text"] != text or not _covers(stored[doc_id]["passages"], text)
            for doc_id, text in self._rows.items()
            if doc_id in stored
        )
        self._change_source()

    def _change_source(self) -> None:
        self._version += 1
        self._rows = {
            f"row/{at}": " ".join(
                f"Sentence {number} of version {self._version} of row {at}."
                for number in range(12 if at % 25 == 0 else 1)
            )
            for at in range(self._row_count)
        }
        lines = (json.dumps({"_id": doc_id, "title": doc_id, "text": text}) for doc_id, text in self._rows.items())
        (self._folder / "rows.jsonl").write_text("\n".join(lines) + "\n")


def _covers(passages: list[dict[str, Any]], text: str) -> bool:
    """Whether the passages are those of this text, to its end, in order."""
    if [passage["ordinal"] for passage in passages] != list(range(len(passages))):
        return False
    whole = " ".join(passage["text"] for passage in passages)
    return all(sentence in whole for sentence in text.split(".")) and whole.endswith(text[-20:])


async def search_among_failures(
    launcher: Launcher, name: str, url: str, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """How searches were answered while the worker was killed again and again and legs were cut off."""
    index = f"{options.index}-searches"
    overrides: dict[str, Any] = {"cluster.url": url, "index.name": index, "fields.id": "_id"}
    overrides |= {
        "fields.text": {"title": 1.0, "text": 1.0},
        "search.deadline_s": DEADLINE_S,
        "search.rerank": {"window": 10, "passages": 1},
    }
    # a worker that lives so briefly is asked often all the same
    overrides |= {"search.breaker.rest_s": 0.2, "search.breaker.max_rest_s": 0.2}
    settings = load_settings(overrides=overrides, environ={})
    await run_job(str(options.data), settings, rejects=folder / "rejects.jsonl")
    queries = [query.text for query in read_collection(options.data).queries]
    answered = Answered()
    cut = CutLegs(random.Random(options.seed))
    async with Proxy(url, cut) as proxy:
        proxy.seen = collections.deque(maxlen=1)  # type: ignore[assignment]
        port = free_port()
        overrides |= {"cluster.url": proxy.url, "rerankers.local.url": f"http://127.0.0.1:{port}"}
        async with await Connector.open(load_settings(overrides=overrides, environ={})) as connector:
            await connector.searcher.search(SearchRequest(queries[0], deadline_s=30.0))  # warms the encoder up
            end = time.monotonic() + options.minutes * 60
            with Progress(console=console) as progress:
                task = progress.add_task("searching", total=options.minutes * 60)
                background = [
                    asyncio.create_task(keep_killing(launcher, folder, port, end, random.Random(options.seed))),
                    asyncio.create_task(cut.change_until(end)),
                    asyncio.create_task(watch_memory(answered.memory_mb, end)),
                ]
                chance = random.Random(options.seed)
                orders = [chance.sample(queries, len(queries)) for _ in range(CLIENTS)]
                await asyncio.gather(
                    *(search_until(connector, order, end, answered) for order in orders),
                    show_until(progress, task, end),
                )
                kills, *_ = await asyncio.gather(*background)
    await drop(url, index)
    return {"engine": name, "minutes": options.minutes, "worker_kills": kills} | answered.figures()


@dataclass
class Answered:
    """What the searches came to."""

    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    degraded: collections.Counter[str] = field(default_factory=collections.Counter)
    reranked: int = 0
    cut_off_in_rerank: int = 0
    memory_mb: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        third = max(len(self.memory_mb) // 3, 1)
        return {
            "queries": len(self.took_s) + len(self.failed),
            "in_time": sum(took <= DEADLINE_S + LATE_S for took in self.took_s),
            "errors": collections.Counter(self.failed).most_common(3),
            "reranked": self.reranked,
            "cut_off_in_rerank": self.cut_off_in_rerank,
            "degraded": dict(self.degraded),
            "deadline_s": DEADLINE_S,
            "p50_s": round(percentile(self.took_s, 0.5), 3),
            "p99_s": round(percentile(self.took_s, 0.99), 3),
            "max_s": round(max(self.took_s), 3),
            "memory_mb": {
                "first_third": round(percentile(self.memory_mb[:third], 0.5)),
                "last_third": round(percentile(self.memory_mb[-third:], 0.5)),
            },
        }


async def search_until(connector: Connector, queries: Sequence[str], end: float, answered: Answered) -> None:
    while True:
        for query in queries:
            if time.monotonic() >= end:
                return
            began = time.monotonic()
            try:
                response = await connector.search(query)
            except ConnectorError as error:
                answered.failed.append(str(error)[:200])
                continue
            answered.took_s.append(time.monotonic() - began)
            reasons = {missing.stage: missing.reason for missing in response.degraded}
            answered.degraded.update(reasons.keys() or {"nothing"})
            answered.reranked += "local" not in reasons
            answered.cut_off_in_rerank += "broke off" in reasons.get("local", "")


class CutLegs:
    """A fault for the proxy: from time to time it cuts one leg off, never both, in one of several ways."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._leg: str | None = None
        self._fault: Fault = "reset"

    def __call__(self, seen: Seen) -> Fault | None:
        if not seen.is_search or b'"ids"' in seen.body:
            return None
        leg = "lexical" if b"multi_match" in seen.body else "dense"
        return self._fault if leg == self._leg else None

    async def change_until(self, end: float) -> None:
        while time.monotonic() < end:
            before, self._leg = self._leg, None
            leg = self._chance.choice([None, "lexical", "dense"])
            if before and leg and before != leg:
                await asyncio.sleep(DEADLINE_S)  # else a search that lost the one would lose the other too
            self._leg = leg
            self._fault = self._chance.choice(LEG_FAULTS)
            await asyncio.sleep(self._chance.uniform(0.2, 3.0))


async def keep_killing(
    launcher: Launcher, folder: Path, port: int, end: float, chance: random.Random
) -> dict[str, int]:
    """Start a worker, kill it after two seconds, by turns of its life and of its service, and so on; how often."""
    kills = {"while_starting": 0, "in_service": 0}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=1) as client:
        while time.monotonic() < end:
            running = launcher.start("worker", "--port", str(port), cwd=folder)
            waits = chance.random() < 0.5
            # another process sets no event
            while waits and time.monotonic() < end and not await is_ready(client):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            await asyncio.sleep(KILL_WORKER_AFTER_S)
            kills["in_service" if await is_ready(client) else "while_starting"] += 1
            running.kill()
            await asyncio.wrap_future(running.ended)
    return kills


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/ready")).status_code == 200
    except httpx.HTTPError:
        return False


async def watch_memory(samples: list[float], end: float) -> None:
    """The resident megabytes of this process (searcher, encoder and proxy), every few seconds."""
    while time.monotonic() < end:
        samples.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
        await asyncio.sleep(5)


async def show_until(progress: Progress, task: Any, end: float) -> None:
    while (left := end - time.monotonic()) > 0:
        progress.update(task, completed=progress.tasks[task].total - left)
        await asyncio.sleep(1)


if __name__ == "__main__":
    main()
