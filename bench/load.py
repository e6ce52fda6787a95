"""Searches that share one worker: how many of them are reranked, how much of each, how well and how soon.

    make bench-load                                             # the example corpus, embedded store
    make bench-load DATA=FOLDER ARGS="--queries 100 --seconds 60"
    make bench-load CLUSTER=http://localhost:9200
    make bench-load ARGS="--simulate 100"                       # no machine: a worker of 100 pairs/s, by a simulation

1, 2, 4, ... 64 searches at once, without pause, from one process (--applications: from so many connectors, none of
which knows of the others' searches). Before each of these and at the end the worker is asked for scores alone, without
pause, by clients that send it whole windows: what it gets done then is its best, and the share is what it gets done for
the searches, in tokens a second. The worker has half of the cores, the searches and what asks it alone have the others,
as where it has a machine of its own. No score and no token vector is remembered, so that each pair costs the same.

Where the machine is too slow for that many searches, each with as many pairs as it has hits, the deadline is as long as
it takes, and the result says so."""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import httpx
from machine import print_result
from parts import part_of
from path import CORES, pin
from quality import console, ingest, settings_for
from rerank_servers import Server, serving
from rich.console import Console
from rich.table import Table
from simulated_load import simulate

from connector.client import Connector
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.statistics.latency import percentile
from connector.evaluation.statistics.measures import measure
from connector.types import Hit, SearchRequest, SearchResponse

EXAMPLES = Path(__file__).parents[1] / "examples" / "corpus"
NEEDED = 2.0  # times what the most searches take with the least, the deadline is at least
ALONE_CLIENTS = 4
RAMP = 0.2  # of a level's time, before what the worker gets done is counted
SAMPLES = 20  # windows that the worker is asked for alone
ALONE_S = 600.0  # that a request for scores alone, which has no budget, may wait
WORKER = {"worker.score_cache_bytes": 0, "worker.cache_bytes": 0, "worker.max_wait_s": ALONE_S}
TOKENS = re.compile(r"^connector_worker_tokens_total ([0-9.e+]+)$", re.MULTILINE)


def main() -> None:
    options = parse_arguments()
    if options.simulate:
        found = simulate(options.simulate, options.at_once, options.applications)
    else:
        found = measure_load(options)
    report(found)
    print_result({"bench": "load"} | found)


def measure_load(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of a worker and connectors that run here."""
    folder = part_of(options.data)
    collection = read_collection(folder).sample(options.queries)
    settings = settings_for(folder, options.cluster, options.set)
    counts = ingest(folder, settings)
    half = len(CORES) // 2 or 1
    pin(os.getpid(), CORES[:half])  # what is started inherits it, and sizes its threads by it
    chosen = [part for path, value in WORKER.items() for part in ("--set", f"{path}={value}")]
    chosen += [part for given in options.set if given.startswith("worker.") for part in ("--set", given)]
    with serving("worker", [sys.executable, "-m", "connector", "worker", *chosen]) as worker:
        pin(os.getpid(), CORES[half:] or CORES)
        found = asyncio.run(Bench(worker, collection, options).run())
    return {"data": folder.name, "documents": counts.read} | found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=str(EXAMPLES), help="FOLDER[:QUERIES[:DOCUMENTS]]")
    parser.add_argument("--cluster", default=f"embedded:{Path(tempfile.gettempdir()) / 'connector-bench'}")
    parser.add_argument("--queries", type=int, default=0, help="a seeded sample of that many queries; 0 for all")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="how many searches")
    parser.add_argument("--applications", type=int, default=1, help="connectors that they come from, in turn")
    parser.add_argument("--seconds", type=float, default=30.0, help="of searches, for each of these")
    parser.add_argument("--alone", type=float, default=10.0, help="seconds of scores alone, before each of these")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds; more where the machine is slow")
    parser.add_argument("--simulate", type=float, metavar="PAIRS_PER_S", help="a worker of that speed, of no machine")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="any setting")
    return parser.parse_args()


@dataclass
class Level:
    """So many searches at once, and what became of them."""

    at_once: int
    took_s: list[float] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    rankings: list[tuple[str, tuple[Hit, ...]]] = field(default_factory=list)
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)
    tokens_per_s: float = 0.0

    def note(self, query_id: str, response: SearchResponse, took_s: float) -> None:
        self.took_s.append(took_s)
        (stage,) = response.stages.values()
        self.windows.append(stage.done if stage.ran else 0)
        self.rankings.append((query_id, tuple(Hit(hit.doc_id, hit.score) for hit in response.hits)))
        self.reasons.update(
            f"{missing.stage}: {re.sub('[0-9.]+', 'N', missing.reason)}" for missing in response.degraded
        )

    def figures(self, collection: Collection, best: float, deadline_s: float) -> dict[str, Any]:
        run = {f"{at} {query_id}": ranking for at, (query_id, ranking) in enumerate(self.rankings)}
        qrels = {key: collection.qrels[key.partition(" ")[2]] for key in run}
        return {
            "at_once": self.at_once,
            "searches": len(self.took_s),
            "unreranked": self.windows.count(0),
            "reranked_share": round(1 - self.windows.count(0) / len(self.windows), 4),
            "window": round(mean(self.windows), 1),
            "window_p5": percentile(self.windows, 0.05),
            "nDCG@10": round(mean(measure(run, qrels, ["nDCG@10"])["nDCG@10"].values()), 4),
            **{f"p{share}_s": round(percentile(self.took_s, share / 100), 2) for share in (50, 95, 99)},
            "in_time": sum(took <= deadline_s for took in self.took_s),
            "of_best": round(self.tokens_per_s / best, 3),
            "degraded": dict(self.reasons.most_common(5)),
        }


class Bench:
    """The worker, the connectors that share it, and what is asked of it alone."""

    def __init__(self, worker: Server, collection: Collection, options: argparse.Namespace) -> None:
        self._worker, self._collection, self._options = worker, collection, options
        self._deadline_s: float = options.deadline
        self._bodies: list[dict[str, Any]] = []

    async def run(self) -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            connectors = [
                await stack.enter_async_context(await Connector.open(self._settings()))
                for _ in range(self._options.applications)
            ]
            k, window = await self._prepare(connectors[0])
            alone = [await self._ask_alone()]
            self._deadline_s = self._fit_deadline(alone[0], k)
            levels = []
            for at_once in self._options.at_once:
                console.print(f"{at_once} searches at once, deadline {self._deadline_s:g} s")
                levels.append(await self._search(connectors, at_once))
                alone.append(await self._ask_alone())
        figures = [
            level.figures(self._collection, mean(pair), self._deadline_s)
            for level, pair in zip(levels, itertools.pairwise(alone), strict=True)
        ]
        return {
            "queries": len(self._collection.queries),
            "applications": self._options.applications,
            "deadline_s": self._deadline_s,
            "k": k,
            "window": window,
            "alone_tokens_per_s": [round(rate) for rate in alone],
            "levels": figures,
        }

    def _settings(self) -> Any:
        given = [*self._options.set, f"rerankers.local.url={self._worker.url}"]
        return settings_for(part_of(self._options.data), self._options.cluster, given)

    async def _prepare(self, connector: Connector) -> tuple[int, int]:
        """k and the window; the windows of a few queries are kept, to be asked for alone."""
        settings = self._settings()
        (stage,) = settings.search.rerank
        for query in self._collection.queries[:SAMPLES]:
            found = await connector.searcher.first_stage(SearchRequest(query.text))
            hits = {hit.doc_id: hit for ranking in found.legs.values() for hit in ranking}.values()
            passages = [passage.text for hit in hits for passage in hit.passages[: stage.passages]]
            self._bodies.append({"query": query.text, "texts": passages[: stage.window * stage.passages]})
        return settings.search.k, stage.window

    def _fit_deadline(self, tokens_per_s: float, k: int) -> float:
        """The one asked for, or as long as the machine needs for the most searches with k passages each."""
        texts = [text for body in self._bodies for text in body["texts"]]
        tokens = mean(len(text) for text in texts) / 4 * k * max(self._options.at_once)
        return max(self._deadline_s, float(round(NEEDED * tokens / tokens_per_s)))

    async def _ask_alone(self) -> float:
        """Tokens a second where clients ask for whole windows without pause."""
        end, bodies = time.monotonic() + self._options.alone, itertools.cycle(self._bodies)
        async with httpx.AsyncClient(base_url=self._worker.url, timeout=ALONE_S) as client:

            async def ask() -> None:
                while time.monotonic() < end:
                    (await client.post("/rerank", json=next(bodies))).raise_for_status()

            began, before = time.monotonic(), await self._tokens()
            await asyncio.gather(*(ask() for _ in range(ALONE_CLIENTS)))
            return (await self._tokens() - before) / (time.monotonic() - began)

    async def _search(self, connectors: Sequence[Connector], at_once: int) -> Level:
        level, queries = Level(at_once), itertools.cycle(self._collection.queries)
        began = time.monotonic()
        end = began + self._options.seconds

        async def search(connector: Connector) -> None:
            while time.monotonic() < end:
                query, started = next(queries), time.monotonic()
                response = await connector.search(query.text, deadline_s=self._deadline_s)
                level.note(query.query_id, response, time.monotonic() - started)

        async def watch() -> None:
            await asyncio.sleep(RAMP * self._options.seconds)
            since, before = time.monotonic(), await self._tokens()
            await asyncio.sleep(end - time.monotonic())
            level.tokens_per_s = (await self._tokens() - before) / (time.monotonic() - since)

        searches = (search(connector) for connector in itertools.islice(itertools.cycle(connectors), at_once))
        await asyncio.gather(watch(), *searches)
        return level

    async def _tokens(self) -> float:
        """What the worker's models have read so far."""
        async with httpx.AsyncClient(base_url=self._worker.url, timeout=60) as client:
            found = TOKENS.search((await client.get("/metrics")).text)
        return float(found[1]) if found else 0.0


def report(found: dict[str, Any]) -> None:
    title = f"window {found['window']}, k {found['k']}, deadline {found['deadline_s']:g} s"
    table = Table(title=title, title_justify="left", show_edge=False)
    columns = ("at_once", "searches", "reranked_share", "window", "nDCG@10", "p50_s", "p95_s", "p99_s", "of_best")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for level in found["levels"]:
        table.add_row(*("" if level[column] is None else str(level[column]) for column in columns))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
