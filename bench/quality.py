"""Quality of the four rankings on a judged collection, through the real path: ingest, legs, fusion, worker.

    make bench-quality DATA=FOLDER                              # any BEIR-layout folder, embedded store
    make bench-quality DATA=FOLDER CLUSTER=http://localhost:9200
    make bench-quality DATA=FOLDER:200:3000                     # a seeded part: 200 queries, 3,000 documents
    make bench-quality DATA=FOLDER ARGS="--reranker cross-encoder/ettin-reranker-32m-v1"

The index bench-NAME is kept, so that a second run only searches; the command prints how to drop it."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import print_result
from parts import part_of
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from connector.cli.tables.comparison import measures_table, times_table
from connector.errors import ConnectorError
from connector.evaluation.evaluate import Evaluation, Reporter, evaluate
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.pipelines import default_pipelines, plan
from connector.evaluation.statistics.measures import MEASURES
from connector.ingest.job import run_job
from connector.ingest.report import Counts
from connector.remote.process import running_worker
from connector.settings.given import parse_value
from connector.settings.load import load_settings
from connector.settings.sections import Settings

STORE = f"embedded:{Path(tempfile.gettempdir()) / 'connector-bench'}"
console = Console(stderr=True, highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="BEIR-layout folder, or a part of one: FOLDER:QUERIES:DOCUMENTS")
    parser.add_argument("--cluster", default=STORE)
    parser.add_argument("--queries", type=int, default=0, help="a seeded sample of that many queries; 0 for all")
    parser.add_argument("--reranker", metavar="NAME", help="folder or hub name of what the worker reranks with")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="any setting")
    options = parser.parse_args()
    folder = part_of(options.data)
    collection = read_collection(folder).sample(options.queries)
    settings = settings_for(folder, options.cluster, options.set)
    counts = ingest(folder, settings)
    with running_worker(["--reranker", options.reranker] if options.reranker else []) as worker:
        settings = settings.at_worker(worker.url)
        evaluation = asyncio.run(search(settings, collection))
    report(evaluation, counts, settings)


def settings_for(folder: Path, cluster: str = STORE, given: Sequence[str] = ()) -> Settings:
    """The defaults for a folder's index, with settings `given` as PATH=VALUE."""
    name = "bench-" + re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")
    overrides: dict[str, Any] = {"fields.text": {"title": 1.0, "text": 1.0}, "fields.id": "_id"}
    overrides |= {"cluster.url": cluster, "index.name": name, "search.deadline_s": 300.0}
    overrides |= {path: parse_value(value) for path, _, value in (override.partition("=") for override in given)}
    return load_settings(overrides=overrides, environ={})


def ingest(folder: Path, settings: Settings) -> Counts:
    with Progress(
        TextColumn("ingesting"),
        BarColumn(),
        TextColumn("{task.fields[done]:,} documents"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("", total=1.0, done=0)

        def show(counts: Counts) -> None:
            progress.update(task, completed=counts.progress, done=counts.written + counts.unchanged + counts.failed)

        rejects = Path(tempfile.gettempdir()) / f"{settings.index.name}.rejects.jsonl"
        report = asyncio.run(run_job(str(folder), settings, rejects=rejects, on_progress=show, say=console.print))
    if report.stopped:
        sys.exit(f"error: {report.stopped}")
    return report.counts


async def search(settings: Settings, collection: Collection) -> Evaluation:
    with Progress(
        TextColumn("searching"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("")

        def begin(description: str, count: int) -> None:
            progress.reset(task, total=count)

        reporter = Reporter(note=console.print, begin=begin, done=lambda: progress.advance(task))
        pipelines = [pipeline for pipeline in default_pipelines(settings) if not pipeline.overrides]
        searches = plan(pipelines, lambda overrides: settings)
        return await evaluate(collection, searches, measures=MEASURES, k=10, baseline="fused", reporter=reporter)


def report(evaluation: Evaluation, counts: Counts, settings: Settings) -> None:
    collection, last = evaluation.collection, evaluation.pipelines[-1]
    means = {
        measured.pipeline.name: {name: measured.mean(name) for name in MEASURES} for measured in evaluation.pipelines
    }
    title = f"{collection.name} at {settings.cluster.url}: {counts.read:,} documents, {len(collection.queries)} queries"
    table = Console()
    table.print(measures_table(title, means))
    table.print(times_table(last.stages))
    result = {
        "bench": "quality",
        "collection": collection.name,
        "cluster": settings.cluster.url,
        "reranker": "; ".join(last.facts.get("rerankers", {}).values()),
        "documents": counts.read,
        "queries": len(collection.queries),
        "measures": {
            stage: {name: round(value, 4) for name, value in values.items()} for stage, values in means.items()
        },
        "p50_ms": {stage: times.p50 for stage, times in last.stages.items()},
        "degraded": last.troubled,
    }
    gain = evaluation.compare("nDCG@10").get("reranked")
    if gain:
        seen = f"{gain.difference:+.4f} nDCG@10 (standard error {gain.standard_error:.4f}, p {gain.p:.4f})"
        table.print(f"reranked - fused: {seen}", highlight=False)
        result["rerank_gain"] = {
            "nDCG@10": round(gain.difference, 4),
            "standard_error": round(gain.standard_error, 4),
            "p": round(gain.p, 4),
        }
    console.print(
        f"the index is kept; drop it with: connector index drop --yes --cluster {settings.cluster.url} -i "
        f"{settings.index.name}"
    )
    print_result(result)


if __name__ == "__main__":
    try:
        main()
    except ConnectorError as error:
        sys.exit(f"error: {error}")
