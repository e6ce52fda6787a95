"""The whole path on the example corpus: ingest, worker, four rankings side by side, measures. No server, no model hub.

python examples/demo.py                                  # into an embedded store
python examples/demo.py --cluster http://localhost:9200  # into your cluster (index connector-demo)
python examples/demo.py --data FOLDER                    # another judged collection, in a folder as BEIR has them
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from connector.cli.tables.comparison import measures_table, side_by_side, times_table
from connector.client import Connector
from connector.errors import ConnectorError
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.runs import answer_all
from connector.evaluation.statistics.latency import percentiles
from connector.evaluation.statistics.measures import mean, measure
from connector.ingest.job import run_job
from connector.ingest.report import Counts
from connector.remote.process import WorkerProcess, running_worker
from connector.settings.load import load_settings
from connector.settings.sections import Settings

INDEX = "connector-demo"
FOLDER = Path(__file__).parent / "corpus"
SHOWN = ("q078", "q046", "q088", "q134")  # a code, a paraphrase, a negation, a qualifier
RANKINGS = ("lexical", "dense", "fused", "reranked")  # the only stage has its own name beside the last of these
console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", default="embedded:./demo-store", help="http(s)://HOST:PORT or embedded:FOLDER")
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder with corpus.jsonl, queries.jsonl, qrels.tsv")
    parser.add_argument("--queries", type=int, default=0, help="how many of the judged queries to run; 0 for all")
    parser.add_argument("--reranker", metavar="NAME", help="folder or hub name of what the worker reranks with")
    options = parser.parse_args()
    started = time.monotonic()
    settings = load_settings(overrides={"cluster.url": options.cluster, "index.name": INDEX, "search.deadline_s": 60.0})
    collection = read_collection(options.data)
    if options.queries:
        collection = collection.only(collection.queries[: options.queries])
    reranker = options.reranker or "MaxSim over all-MiniLM-L6-v2"
    times = {"loaded": 0.0}
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:
        starting: list[Future[WorkerProcess]] = []

        def start_worker() -> None:
            """Once the encoder is loaded: the worker shares its graph, which the first of them has to make."""
            if not starting:
                times["loaded"] = time.monotonic() - started
                worker = running_worker(["--reranker", options.reranker] if options.reranker else [])
                starting.append(beside.submit(stack.enter_context, worker))

        ingest(options.data, settings, start_worker)
        times["ingested"] = time.monotonic() - started
        start_worker()  # where there was nothing to ingest
        console.print(f"waiting for the worker (its own process; {reranker})…")
        url = starting[0].result().url
        times["worker"] = time.monotonic() - started
        settings = settings.at_worker(url)
        figures = asyncio.run(search(settings, collection, started, times))
    show_page(options.cluster, options.reranker)
    print(json.dumps(figures))


def show_page(cluster: str, reranker: str | None) -> None:
    """How to look at the same searches in a browser."""
    is_embedded = cluster.startswith("embedded:")
    port = "--port" if is_embedded else "--api-port"
    worker = f"connector worker --reranker {reranker}" if reranker else "connector worker"
    console.print(
        f"to see each search in a browser, run this, and then open http://127.0.0.1:9281/ui/\n"
        f"  connector gateway --cluster {cluster} --index {INDEX} {port} 9281\n"
        f"and beside it, for reranked answers:\n"
        f"  {worker}\n",
        soft_wrap=True,
    )


def ingest(folder: Path, settings: Settings, when_loaded: Callable[[], None]) -> None:
    with Progress(
        TextColumn("ingesting"),
        BarColumn(),
        TextColumn("{task.fields[done]} documents"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=1.0, done=0)

        def show(counts: Counts) -> None:
            when_loaded()
            done = counts.written + counts.unchanged + counts.failed
            progress.update(task, completed=counts.progress, done=done)

        report = asyncio.run(run_job(str(folder), settings, on_progress=show, say=progress.console.print))
    counts = report.counts
    console.print(
        f"{counts.read} documents: {counts.written} written ({counts.passages} passages), {counts.unchanged} "
        f"unchanged, {counts.failed} failed, in {report.seconds:.1f} s"
    )


async def search(
    settings: Settings, collection: Collection, started: float, times: dict[str, float]
) -> dict[str, object]:
    async with await Connector.open(settings) as connector:
        queries = [
            query for name in SHOWN for query in collection.queries if query.query_id == name
        ] or collection.queries[:1]
        for query in queries:
            response = await connector.search(query.text)
            times.setdefault("first answer", time.monotonic() - started)
            console.print()
            console.print(side_by_side(response, collection.qrels[query.query_id]))
            for missing in response.degraded:
                console.print(f"degraded: {missing.stage}: {missing.reason}", style="yellow")
        console.print("\nbefore a document: its grade, · not judged; ↑↓ places moved against fused\n", style="dim")
        with Progress(
            TextColumn("judged queries"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as progress:
            task = progress.add_task("", total=len(collection.queries))
            answers = await answer_all(connector.searcher, collection.queries, on_answer=lambda: progress.advance(task))
    means = {
        stage: {name: mean(values) for name, values in measure(answers.runs[stage], collection.qrels).items()}
        for stage in RANKINGS
        if stage in answers.runs
    }
    console.print(measures_table(f"{len(collection.queries)} judged queries", means))
    console.print()
    console.print(times_table({stage: percentiles(took) for stage, took in answers.took_ms.items()}))
    if answers.degraded:
        console.print(f"{len(answers.degraded)} answers were degraded, first: {answers.degraded[0]}", style="yellow")
    times["all"] = time.monotonic() - started
    console.print(
        f"\nfirst reranked answer after {times['first answer']:.1f} s: {times['loaded']:.1f} to load the encoder, "
        f"{times['ingested'] - times['loaded']:.1f} to ingest, {times['worker'] - times['ingested']:.1f} more for the "
        f"worker, {times['first answer'] - times['worker']:.1f} to search and rerank; all after {times['all']:.1f} s\n"
    )
    return {
        "queries": len(collection.queries),
        "measures": means,
        "degraded": len(answers.degraded),
        "after_s": {name: round(seconds, 1) for name, seconds in times.items()},
    }


if __name__ == "__main__":
    try:
        main()
    except ConnectorError as error:
        sys.exit(f"error: {error}")
