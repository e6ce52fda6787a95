"""What the query path costs: a search without rerank against its slower leg alone, on the same cluster, in the same run.

    make bench-path                                   # starts Elasticsearch 9.3 and OpenSearch 3.6 itself
    make bench-path CLUSTER=http://localhost:9200

For every query the lexical leg alone, the dense leg alone (its query encoded first), the two at once, and a whole search
without rerank are timed in turn, so that noise falls on all four. What the search takes more than the slower leg is the cost
of having two legs (they share the machine's cores with each other, and here with the engine) and then the path's own:
fusion, the hits' fields, the explanation."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import percentile, print_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

from connector.client import Connector
from connector.config import load_settings
from connector.evaluation.datasets import read_collection
from connector.ingest.job import run_job
from connector.types import SearchRequest
from connector.wiring import load_encoder, open_cluster

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))
ENGINES = (("elasticsearch", "9.3.2"), ("opensearch", "3.6.0"))
INDEX = "bench-path"
TIMEOUT_S = 30.0
COLUMNS = {
    "lexical_ms": "lexical leg",
    "dense_ms": "dense leg",
    "both_ms": "both at once",
    "search_ms": "search",
    "over_slower_leg_ms": "search - slower leg",
    "over_both_ms": "search - both at once",
}
console = Console(stderr=True, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="measure this one instead of starting engines")
    parser.add_argument("--data", type=Path, default=ROOT / "examples" / "corpus")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results = {}
    if options.cluster:
        results["cluster"] = asyncio.run(measure(options.cluster, options.data, options.rounds))
    else:
        import engines

        for kind, version in ENGINES:
            console.print(f"starting {kind} {version}")
            server = engines.start(kind, version)
            try:
                results[f"{kind} {version}"] = asyncio.run(measure(server["url"], options.data, options.rounds))
            finally:
                engines.stop(server)
    table = Table(title="p50 milliseconds", title_justify="left", show_edge=False)
    for column in ("cluster", *COLUMNS.values()):
        table.add_column(column, justify="left" if column == "cluster" else "right")
    for name, result in results.items():
        table.add_row(name, *(f"{result[key]:.2f}" for key in COLUMNS))
    Console().print(table)
    print_result({"bench": "path", "data": options.data.name, "rounds": options.rounds, "p50": results})


async def measure(url: str, data: Path, rounds: int) -> dict[str, float]:
    """Medians over all queries and rounds."""
    overrides: dict[str, Any] = {"cluster.url": url, "index.name": INDEX, "fields.id": "_id"}
    settings = load_settings(overrides=overrides | {"fields.text": {"title": 1.0, "text": 1.0}}, environ={})
    await run_job(str(data), settings, say=console.print)
    queries = [query.text for query in read_collection(data).queries]
    encoder = load_encoder(settings)
    took: dict[str, list[float]] = {"lexical_ms": [], "dense_ms": [], "both_ms": [], "search_ms": []}
    connector = await Connector.open(settings)
    index, depth = connector.searcher.index, settings.search.depth
    encoding = ThreadPoolExecutor(max_workers=1)  # as the searcher does it

    async def lexical(query: str) -> None:
        await index.lexical(query, depth=depth, filter=None, timeout_s=TIMEOUT_S)

    async def dense(query: str) -> None:
        vector = await asyncio.get_running_loop().run_in_executor(encoding, encoder.encode_query, query)
        await index.dense(vector, depth=depth, filter=None, timeout_s=TIMEOUT_S)

    async with connector:
        for number in track(range(rounds + 1), description="measuring", console=console):
            for query in queries:
                timed = {
                    "lexical_ms": await clock(lexical(query)),
                    "dense_ms": await clock(dense(query)),
                    "both_ms": await clock(asyncio.gather(lexical(query), dense(query))),
                    "search_ms": await clock(connector.searcher.search(SearchRequest(query, rerank=False))),
                }
                if number:  # the first round warms up
                    for name, value in timed.items():
                        took[name].append(value)
    cluster = await open_cluster(settings)
    await cluster.drop_index(INDEX)
    await cluster.close()
    medians = {name: round(percentile(values, 0.5), 2) for name, values in took.items()}
    slower_leg_ms = max(medians["lexical_ms"], medians["dense_ms"])
    return medians | {
        "over_slower_leg_ms": round(medians["search_ms"] - slower_leg_ms, 2),
        "over_both_ms": round(medians["search_ms"] - medians["both_ms"], 2),
    }


async def clock(work: Awaitable[Any]) -> float:
    """How long the work takes, in milliseconds."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
