"""What is lost when things are killed: nothing, measured.

    make bench-reliability                              # 200 kills of an ingest on each engine, 30 minutes of searches
    make bench-reliability ARGS="--kills 20 --minutes 2"

Kills: an ingest job into Elasticsearch and one into OpenSearch are killed (SIGKILL) at random moments, four in five of them after
they have begun to work (the others also while they load), and run again. Whenever a run comes to its end, and at the very end, the index
is compared with the source, document by document and passage by passage; then every row of the source changes, so that there is
work again.

Searches: a few clients search without pause while the worker is killed two seconds after it was started, or two seconds after it was
ready, by chance, and started again; and while now one leg, now the other is cut off, never both within one search (refused, reset, half
answered, or left without an answer). Every search has to be answered by its deadline."""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import logging
import os
import random
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from machine import print_result
from rich.console import Console
from rich.progress import Progress

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import engines  # noqa: E402
from support.command import Launcher, Running, launching  # noqa: E402
from support.proxy import Fault, Proxy, Seen  # noqa: E402

from connector.client import Connector  # noqa: E402
from connector.errors import ConnectorError  # noqa: E402
from connector.evaluation.datasets import read_collection  # noqa: E402
from connector.evaluation.latency import percentile  # noqa: E402
from connector.ingest.job import run_job  # noqa: E402
from connector.settings.load import load_settings  # noqa: E402
from connector.types import SearchRequest  # noqa: E402

ENGINES = (("elasticsearch", "9.3.2"), ("opensearch", "2.19.1"))
ROWS = 300
GROUP = 20
DEADLINE_S = 5.0
LATE_S = 0.25  # what an answer may be late by on a busy machine
KILL_WORKER_AFTER_S = 2.0
POLL_S = 0.1
EARLY_SHARE = 0.2  # of the kills: at any moment since the job's start, also while it loads
CLIENTS = 2
LEG_FAULTS: tuple[Fault, ...] = ("refuse", "reset", "stall", "half", "garbage")
console = Console(stderr=True, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of the ingest job, on each engine")
    parser.add_argument("--minutes", type=float, default=30.0, help="of searches")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the proxy breaks off replies on purpose
    servers = {}
    try:
        for kind, version in ENGINES:
            console.print(f"starting {kind} {version}")
            servers[f"{kind} {version}"] = engines.start(kind, version, wait_s=600)
        with launching() as launcher, tempfile.TemporaryDirectory(prefix="bench-reliability-") as folder:
            kills = asyncio.run(kill_ingests(launcher, servers, Path(folder), options.kills, options.seed))
            searches = asyncio.run(
                search_among_failures(
                    launcher, servers[" ".join(ENGINES[0])], Path(folder), options.minutes, options.seed
                )
            )
    finally:
        for server in servers.values():
            engines.stop(server)
    print_result({"bench": "reliability", "ingest": kills, "search": searches})
    ok = all(one["lost"] == one["doubled"] == one["wrong"] == 0 for one in kills.values())
    sys.exit(0 if ok and searches["in_time"] == searches["queries"] else 1)


async def kill_ingests(
    launcher: Launcher, servers: dict[str, Any], folder: Path, kills: int, seed: int
) -> dict[str, dict[str, int]]:
    """What was found wrong in each engine's index, over so many kills of the job that fills it."""
    results = {}
    with Progress(console=console) as progress:
        for name, server in servers.items():
            task = progress.add_task(f"killing an ingest into {name}", total=kills)
            home = folder / name.split()[0]
            home.mkdir()
            async with Proxy(server["url"]) as proxy:
                proxy.seen = collections.deque(maxlen=1)  # type: ignore[assignment]
                one = Victim(launcher, proxy.url, home, random.Random(seed))
                proxy.fault = one.notice
                while one.found["kills"] < kills:
                    await one.run_and_kill()
                    progress.update(task, completed=one.found["kills"])
                await one.run_to_the_end()
            results[name] = dict(one.found)
    return results


class Victim:
    """An ingest job that is killed again and again, its source, and what was found in its index."""

    def __init__(self, launcher: Launcher, url: str, folder: Path, chance: random.Random) -> None:
        self._launcher, self._url, self._folder, self._chance = launcher, url, folder, chance
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
            await asyncio.wait([ended, working], return_when=asyncio.FIRST_COMPLETED)
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
            "ingest", "rows.jsonl", "--cluster", self._url, "--index", "bench-reliability", "--json", *arguments,
            cwd=self._folder,
        )  # fmt: skip

    async def _check(self, running: Running) -> None:
        """Compare the index with the source, then change the source."""
        ended = running.wait()
        if ended.code != 0:
            raise SystemExit(f"the job ended with {ended.code}:\n{ended.stderr}")
        self.found["completed"] += 1
        async with httpx.AsyncClient(base_url=f"{self._url}/bench-reliability", timeout=60) as client:
            body = {"size": 2 * ROWS, "_source": {"excludes": ["passages.vector"]}}
            hits = (await client.post("/_search", json=body)).raise_for_status().json()["hits"]["hits"]
            stats = (await client.get("/_stats/docs")).raise_for_status().json()
        stored = {hit["_id"]: hit["_source"] for hit in hits}
        parts = len(hits) + sum(len(one["passages"]) for one in stored.values())
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
            for at in range(ROWS)
        }
        lines = (json.dumps({"_id": doc_id, "title": doc_id, "text": text}) for doc_id, text in self._rows.items())
        (self._folder / "rows.jsonl").write_text("\n".join(lines) + "\n")


def _covers(passages: list[dict[str, Any]], text: str) -> bool:
    """Whether the passages are those of this text, to its end, in order."""
    if [one["ordinal"] for one in passages] != list(range(len(passages))):
        return False
    whole = " ".join(one["text"] for one in passages)
    return all(sentence in whole for sentence in text.split(".")) and whole.endswith(text[-20:])


async def search_among_failures(
    launcher: Launcher, server: dict[str, Any], folder: Path, minutes: float, seed: int
) -> dict[str, Any]:
    """How searches were answered while the worker was killed again and again and legs were cut off."""
    corpus = ROOT / "examples" / "corpus"
    overrides: dict[str, Any] = {"cluster.url": server["url"], "index.name": "bench-searches", "fields.id": "_id"}
    overrides |= {"fields.text": {"title": 1.0, "text": 1.0}, "search.deadline_s": DEADLINE_S, "rerank.window": 10}
    # a worker that lives so briefly is asked often all the same
    overrides |= {"rerank.passages": 1, "search.breaker.rest_s": 0.2, "search.breaker.max_rest_s": 0.2}
    await run_job(str(corpus), load_settings(overrides=overrides, environ={}), rejects=folder / "rejects.jsonl")
    queries = [query.text for query in read_collection(corpus).queries]
    cut = CutLegs(random.Random(seed))
    async with Proxy(server["url"], cut) as proxy:
        proxy.seen = collections.deque(maxlen=1)  # type: ignore[assignment]
        port = _free_port()
        overrides |= {"cluster.url": proxy.url, "rerank.url": f"http://127.0.0.1:{port}"}
        async with await Connector.open(load_settings(overrides=overrides, environ={})) as connector:
            await connector.searcher.search(SearchRequest(queries[0], deadline_s=30.0))  # warms the encoder up
            end = time.monotonic() + minutes * 60
            told: dict[str, Any] = {"answers": [], "failed": [], "degraded": collections.Counter(), "memory_mb": []}
            told |= {"reranked": 0, "cut_off_in_rerank": 0}
            with Progress(console=console) as progress:
                task = progress.add_task("searching", total=minutes * 60)
                background = [
                    asyncio.create_task(keep_killing(launcher, folder, port, end, random.Random(seed))),
                    asyncio.create_task(cut.change_until(end)),
                    asyncio.create_task(watch_memory(told["memory_mb"], end)),
                ]
                chance = random.Random(seed)
                await asyncio.gather(
                    *(search_until(connector, chance.sample(queries, len(queries)), end, told) for _ in range(CLIENTS)),
                    show_until(progress, task, end),
                )
                kills, *_ = await asyncio.gather(*background)
    took, memory = told["answers"], told["memory_mb"]
    third = max(len(memory) // 3, 1)
    return {
        "engine": "elasticsearch 9.3.2",
        "minutes": minutes,
        "queries": len(took) + len(told["failed"]),
        "in_time": sum(one <= DEADLINE_S + LATE_S for one in took),
        "errors": collections.Counter(told["failed"]).most_common(3),
        "worker_kills": kills,
        "reranked": told["reranked"],
        "cut_off_in_rerank": told["cut_off_in_rerank"],
        "degraded": dict(told["degraded"]),
        "deadline_s": DEADLINE_S,
        "p50_s": round(percentile(took, 0.5), 3),
        "p99_s": round(percentile(took, 0.99), 3),
        "max_s": round(max(took), 3),
        "memory_mb": {"first_third": round(percentile(memory[:third], 0.5)), "last_third": round(percentile(memory[-third:], 0.5))},
    }  # fmt: skip


async def search_until(connector: Connector, queries: list[str], end: float, told: dict[str, Any]) -> None:
    while True:
        for query in queries:
            if time.monotonic() >= end:
                return
            began = time.monotonic()
            try:
                response = await connector.search(query)
            except ConnectorError as error:
                told["failed"].append(str(error)[:200])
                continue
            told["answers"].append(time.monotonic() - began)
            reasons = {one.stage: one.reason for one in response.degraded}
            told["degraded"].update(reasons.keys() or {"nothing"})
            told["reranked"] += "rerank" not in reasons
            told["cut_off_in_rerank"] += "broke off" in reasons.get("rerank", "")


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
            while waits and time.monotonic() < end and not await is_ready(client):  # noqa: ASYNC110 - another process sets no event
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


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
