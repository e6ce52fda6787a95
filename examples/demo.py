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
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from connector.cli.tables.comparison import measures_table, side_by_side, times_table
from connector.client import Connector
from connector.errors import ConnectorError
from connector.evaluation.datasets import Collection, read_collection
from connector.evaluation.latency import percentiles
from connector.evaluation.measures import mean, measure
from connector.evaluation.runs import answer_all
from connector.ingest.job import run_job
from connector.ingest.report import Counts
from connector.remote.process import running_worker
from connector.settings.load import load_settings
from connector.settings.sections import Settings

FOLDER = Path(__file__).parent / "corpus"
SHOWN = ("q078", "q046", "q088", "q134")  # a code, a paraphrase, a negation, a qualifier
console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", default="embedded:./demo-store", help="http(s)://HOST:PORT or embedded:FOLDER")
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder with corpus.jsonl, queries.jsonl, qrels.tsv")
    parser.add_argument("--queries", type=int, default=0, help="how many of the judged queries to run; 0 for all")
    parser.add_argument("--reranker", metavar="NAME", help="folder or hub name of what the worker reranks with")
    options = parser.parse_args()
    started = time.monotonic()
    settings = load_settings(
        overrides={"cluster.url": options.cluster, "index.name": "connector-demo", "search.deadline_s": 60.0}
    )
    collection = read_collection(options.data)
    if options.queries:
        collection = collection.only(collection.queries[: options.queries])
    ingest(options.data, settings)
    reranker = options.reranker or "MaxSim over all-MiniLM-L6-v2"
    console.print(f"starting the worker (its own process; {reranker})…")
    with running_worker(["--reranker", options.reranker] if options.reranker else []) as worker:
        settings = settings.at_worker(worker.url)
        figures = asyncio.run(search(settings, collection, started))
    print(json.dumps(figures))


def ingest(folder: Path, settings: Settings) -> None:
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
            done = counts.written + counts.unchanged + counts.failed
            progress.update(task, completed=counts.progress, done=done)

        report = asyncio.run(run_job(str(folder), settings, on_progress=show, say=progress.console.print))
    counts = report.counts
    console.print(
        f"{counts.read} documents: {counts.written} written ({counts.passages} passages), {counts.unchanged} "
        f"unchanged, {counts.failed} failed, in {report.seconds:.1f} s"
    )


async def search(settings: Settings, collection: Collection, started: float) -> dict[str, object]:
    async with await Connector.open(settings) as connector:
        queries = [
            query for name in SHOWN for query in collection.queries if query.query_id == name
        ] or collection.queries[:1]
        first_answer_s = 0.0
        for query in queries:
            response = await connector.search(query.text)
            first_answer_s = first_answer_s or time.monotonic() - started
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
        for stage in answers.runs
    }
    console.print(measures_table(f"{len(collection.queries)} judged queries", means))
    console.print()
    console.print(times_table({stage: percentiles(took) for stage, took in answers.took_ms.items()}))
    if answers.degraded:
        console.print(f"{len(answers.degraded)} answers were degraded, first: {answers.degraded[0]}", style="yellow")
    console.print(
        f"\nfirst reranked answer after {first_answer_s:.0f} s, all after {time.monotonic() - started:.0f} s\n"
    )
    return {
        "queries": len(collection.queries),
        "measures": means,
        "degraded": len(answers.degraded),
        "first_answer_s": round(first_answer_s, 1),
    }


if __name__ == "__main__":
    try:
        main()
    except ConnectorError as error:
        sys.exit(f"error: {error}")
