"""What the query path costs: a search without rerank against its slower leg alone, on the same cluster, in the same
run.

    make bench-path                                   # starts Elasticsearch 9.3 and OpenSearch 3.6 itself
    make bench-path CLUSTER=http://localhost:9200
    make bench-path ARGS="--before COMMIT"            # and the same of a commit, in turns, on the same engines;
                                                      # or of another checkout: --before FOLDER

For every query these are timed in turn, so that noise falls on all of them: each leg's request alone (ids and scores;
the dense one with its query's encoding), each leg alone as a search that ends in the same ten hits (their fields and
passages), the two requests at once, and a whole search without rerank. What the search takes more than the slower of
the one-legged searches is what a second leg costs: fusion, explanation, and its share of the processor.

An engine that the bench starts gets half of the machine's cores and the searches the other half, as where the engine
has a machine of its own; --together lets them share."""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from checkouts import checked_out
from machine import print_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

from connector import event_loop
from connector.client import Connector
from connector.clusters.protocol import SearchableIndex
from connector.evaluation.files.datasets import read_collection
from connector.evaluation.statistics.latency import percentile
from connector.ingest.job import run_job
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.settings.load import load_settings
from connector.types import Ranking, SearchRequest, Vector
from connector.wiring import load_encoder, open_cluster

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))
ENGINES = (("elasticsearch", "9.3.2"), ("opensearch", "3.6.0"))
TIMEOUT_S = 30.0
CORES = sorted(os.sched_getaffinity(0))
ROWS = {
    "lexical_request_ms": "lexical request",
    "dense_request_ms": "dense request",
    "both_requests_ms": "both at once",
    "lexical_ms": "lexical leg to its hits",
    "dense_ms": "dense leg to its hits",
    "search_ms": "search",
    "over_slower_leg_ms": "search - slower leg",
    "over_slower_request_ms": "search - slower request",
}
console = Console(stderr=True, highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="measure this one instead of starting engines")
    parser.add_argument("--index", default="bench-path", help="is made for this, and dropped at the end")
    parser.add_argument("--data", type=Path, default=ROOT / "examples" / "corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--together", action="store_true", help="let the engine and the searches share the cores")
    parser.add_argument("--before", metavar="COMMIT", help="measure its code too, or a folder's, in turns with this")
    parser.add_argument("--encoder", choices=["auto", "torch", "onnx"], default="auto", help="encoder.backend")
    parser.add_argument(
        "--vectors",
        nargs="+",
        default=[],
        metavar="ENGINE=NAME",
        help="index.vectors.index of this code, where the other's default is another: "
        "elasticsearch=int8_hnsw opensearch=sq7_hnsw",
    )
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    if options.cluster:
        results |= measure_both("cluster", options.cluster, options)
    else:
        import engines

        for kind, version in ENGINES:
            console.print(f"starting {kind} {version}")
            pin(os.getpid(), CORES)  # what is started inherits it, and sizes its threads by it
            server = engines.start(kind, version)
            if not options.together:
                keep_apart(server)
            try:
                results |= measure_both(f"{kind} {version}", server["url"], options)
            finally:
                engines.stop(server)
    table = Table(title="p50 milliseconds", title_justify="left", show_edge=False)
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    for key, title in ROWS.items():
        table.add_row(title, *(f"{result[key]:.2f}" for result in results.values()))
    Console().print(table)
    print_result(
        {
            "bench": "path",
            "data": options.data.name,
            "rounds": options.rounds,
            "encoder": options.encoder,
            "cores": "shared" if options.together or options.cluster else "apart",
            "p50": results,
        }
    )


def measure_both(name: str, url: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The medians of this code; with --before also those of that one, measured in turns, one round each. What a
    round gave is said at once."""
    if not options.before:
        return {name: event_loop.run(measure(url, options))}
    found: dict[str, list[dict[str, float]]] = {name: [], f"{name}, {options.before}": []}
    with checked_out(options.before) as before:
        codes = [*zip((ROOT, before), found, strict=True)]
        for number in range(options.rounds):
            for code, label in codes if number % 2 else reversed(codes):  # what comes later meets a warmer engine
                found[label].append(run_code(code, url, options))
                console.print(f"{label}, round {number + 1}: {json.dumps(found[label][-1])}", soft_wrap=True)
    return {
        label: {key: round(percentile([result[key] for result in results], 0.5), 2) for key in ROWS}
        for label, results in found.items()
    }


def run_code(code: Path, url: str, options: argparse.Namespace) -> dict[str, float]:
    """One round of the program as it stands in a folder, with the package that lies there."""
    arguments = ["--cluster", url, "--index", options.index, "--data", str(options.data.resolve()), "--rounds", "1"]
    arguments += ["--vectors", *options.vectors] if options.vectors and code == ROOT else []
    done = subprocess.run(
        [sys.executable, str(code / "bench" / "path.py"), *arguments, "--encoder", options.encoder],
        env=os.environ | {"PYTHONPATH": str(code)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])["p50"]["cluster"]
    return result


def keep_apart(server: dict[str, Any]) -> None:
    """The engine to the first half of the cores, this process to the second."""
    half = len(CORES) // 2 or 1
    for pid in _family(server["pid"]):
        pin(pid, CORES[:half])
    pin(os.getpid(), CORES[half:] or CORES)


def pin(pid: int, cores: list[int]) -> None:
    """All threads of a process, and those that they will start, to these cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


def _family(pid: int) -> list[int]:
    """A process and those that it started."""
    family = [pid]
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            for child in map(int, file.read_text().split()):
                family += _family(child)
    return family


async def measure(url: str, options: argparse.Namespace) -> dict[str, float]:
    """Medians over all queries and rounds."""
    overrides: dict[str, Any] = {"cluster.url": url, "index.name": options.index, "fields.id": "_id"}
    overrides |= {"fields.text": {"title": 1.0, "text": 1.0}, "encoder.backend": options.encoder}
    cluster = await open_cluster(load_settings(overrides=overrides, environ={}))
    named = dict(option.split("=", 1) for option in options.vectors)
    overrides["index.vectors.index"] = named.get(cluster.engine.kind, "auto")
    settings = load_settings(overrides=overrides, environ={})
    await run_job(str(options.data), settings, say=console.print)
    queries = [query.text for query in read_collection(options.data).queries]
    took: dict[str, list[float]] = collections.defaultdict(list)
    async with await Connector.open(settings) as connector:
        parts = Parts(connector.searcher.index, load_encoder(settings), settings.search.depth, settings.search.k)
        for number in track(range(options.rounds + 1), description="measuring", console=console):
            for query in queries:
                timed = await parts.time(query)
                timed["search_ms"] = await clock(connector.searcher.search(SearchRequest(query, rerank=False)))
                if number:  # the first round warms up
                    for name, value in timed.items():
                        took[name].append(value)
    await cluster.drop_index(options.index)
    await cluster.close()
    medians = {name: round(percentile(values, 0.5), 2) for name, values in took.items()}
    search_ms = medians["search_ms"]
    slower_request_ms = max(medians["lexical_request_ms"], medians["dense_request_ms"])
    return medians | {
        "over_slower_leg_ms": round(search_ms - max(medians["lexical_ms"], medians["dense_ms"]), 2),
        "over_slower_request_ms": round(search_ms - slower_request_ms, 2),
    }


class Parts:
    """What a search is made of, each by itself."""

    def __init__(self, index: SearchableIndex, encoder: Encoder, depth: int, k: int) -> None:
        self._index, self._encoder, self._depth, self._k = index, encoder, depth, k
        self._encoding = ThreadPoolExecutor(max_workers=1)  # as the searcher does it

    async def time(self, query: str) -> dict[str, float]:
        """Milliseconds of each."""
        return {
            "lexical_request_ms": await clock(self._lexical(query)),
            "dense_request_ms": await clock(self._encoded(query)),
            "both_requests_ms": await clock(asyncio.gather(self._lexical(query), self._encoded(query))),
            "lexical_ms": await clock(self._lexical_hits(query)),
            "dense_ms": await clock(self._dense_hits(query)),
        }

    async def _lexical(self, query: str) -> Ranking:
        asked = LexicalQuery(query)
        return (
            await self._index.lexical(asked, depth=self._depth, filter=None, timeout_s=TIMEOUT_S, passages=0)
        ).ranking

    async def _encode(self, query: str) -> Vector:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoding, self._encoder.encode_query, query)

    async def _dense(self, vector: Vector) -> Ranking:
        return await self._index.dense(vector, depth=self._depth, filter=None, timeout_s=TIMEOUT_S, passages=0)

    async def _encoded(self, query: str) -> Ranking:
        return await self._dense(await self._encode(query))

    async def _lexical_hits(self, query: str) -> None:
        await self._content(await self._lexical(query), query, None)

    async def _dense_hits(self, query: str) -> None:
        vector = await self._encode(query)
        await self._content(await self._dense(vector), None, vector)

    async def _content(self, ranking: Ranking, query: str | None, vector: Vector | None) -> None:
        top = [hit.doc_id for hit in ranking[: self._k]]
        await self._index.content(top, query=query, vector=vector, timeout_s=TIMEOUT_S)


async def clock(work: Awaitable[Any]) -> float:
    """How long the work takes, in milliseconds."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
