"""A cascade beside its last stage alone: late interaction over 100 documents and a cross-encoder over the best 20 of
them, against the cross-encoder over all 100, on the same queries in one run.

    make bench-cascade DATA=FOLDER ARGS="--cross-encoder NAME"
    make bench-cascade DATA=FOLDER:50 ARGS="--when '{gap_below: 0.5}'"

Without --cross-encoder it is one of the shape of ms-marco-MiniLM-L6-v2 (another: --shape, by a name of bench-rerankers)
with random weights, made here. It takes the time of a trained one, but it has learnt nothing: its nDCG says what a
reranker that knows nothing does to the order, and only the times are worth a look. With --when, the cascade is also
measured with rules for its second stage."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import print_result
from parts import part_of
from quality import STORE, console, ingest, settings_for
from rerankers import SHAPES, save_model
from rich.console import Console

from connector.cli.tables.comparison import measures_table, times_table
from connector.evaluation.evaluate import Evaluation, Reporter, evaluate
from connector.evaluation.files.datasets import read_collection
from connector.evaluation.pipelines import Pipeline, plan
from connector.remote.process import running_worker
from connector.settings.given import parse_value
from connector.settings.load import load_settings
from connector.settings.sections import Settings

MEASURES = ("nDCG@10", "RR@10")
FUSED, WHOLE, CASCADE, RULED = "fused", "cross-encoder over all", "cascade", "cascade with rules"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="BEIR-layout folder, or a part of one: FOLDER:QUERIES:DOCUMENTS")
    parser.add_argument("--cluster", default=STORE)
    parser.add_argument("--cross-encoder", metavar="NAME", help="folder or hub name; random weights when not given")
    parser.add_argument("--shape", choices=SHAPES, default="MiniLM-L6", help="of the random weights")
    parser.add_argument("--window", type=int, default=100, help="documents of the first stage, and of the other search")
    parser.add_argument("--last", type=int, default=20, help="documents of the second stage")
    parser.add_argument("--when", metavar="RULES", help="of the second stage: '{gap_below: 0.5}'")
    options = parser.parse_args()
    folder = part_of(options.data)
    base = settings_for(folder, options.cluster)
    ingest(folder, base)
    with tempfile.TemporaryDirectory(prefix="bench-cascade-") as made:
        model = options.cross_encoder or made
        if not options.cross_encoder:
            console.print(f"the cross-encoder has the shape {options.shape} and random weights: only its times count")
            save_model(SHAPES[options.shape], Path(made))
        arguments = ["--set", f"worker.models={json.dumps({'cross': {'model': model}})}"]
        with running_worker(arguments) as worker:
            evaluation = asyncio.run(measure(folder, base, worker.url, options))
    report(evaluation, options)


async def measure(folder: Path, base: Settings, url: str, options: argparse.Namespace) -> Evaluation:
    """Every query through each of the searches, in turns."""
    rerankers = {"late": {"url": url}, "cross": {"url": url, "model": "cross"}}
    whole = {"reranker": "cross", "window": options.window}
    first, second = {"reranker": "late", "window": options.window}, {"reranker": "cross", "window": options.last}
    stages: dict[str, Any] = {FUSED: "off", WHOLE: [whole], CASCADE: [first, second]}
    if options.when:
        stages[RULED] = [first, second | {"when": parse_value(options.when)}]
    pipelines = [
        Pipeline(name, overrides={"rerankers": rerankers, "search.rerank": given}) for name, given in stages.items()
    ]

    def settings_with(own: Mapping[str, Any]) -> Settings:
        given = {"cluster.url": base.cluster.url, "index.name": base.index.name, "search.deadline_s": 300.0}
        return load_settings(environ={}, overrides={**given, **own})

    searches = plan(pipelines, settings_with)
    reporter = Reporter(note=console.print)
    collection = read_collection(folder)
    return await evaluate(collection, searches, measures=MEASURES, k=10, baseline=WHOLE, reporter=reporter)


def report(evaluation: Evaluation, options: argparse.Namespace) -> None:
    tables, collection = Console(), evaluation.collection
    means = {measured.name: {name: measured.mean(name) for name in MEASURES} for measured in evaluation.pipelines}
    tables.print(measures_table(f"{collection.name}: {len(collection.queries)} queries", means))
    tables.print(times_table({measured.name: measured.latency for measured in evaluation.pipelines}, of="search"))
    for measured in evaluation.pipelines:
        if measured.ran:
            ran = ", ".join(f"{stage} for {count}" for stage, count in measured.ran.items())
            tables.print(f"{measured.name}: ran {ran}", highlight=False)
    gains = evaluation.compare(MEASURES[0])
    print_result(
        {
            "bench": "cascade",
            "collection": collection.name,
            "queries": len(collection.queries),
            "cross_encoder": options.cross_encoder or f"random weights, {options.shape}",
            "windows": [options.window, options.last],
            "measures": {
                pipeline: {name: round(value, 4) for name, value in values.items()}
                for pipeline, values in means.items()
            },
            "p50_ms": {measured.name: measured.latency.p50 for measured in evaluation.pipelines},
            "p95_ms": {measured.name: measured.latency.p95 for measured in evaluation.pipelines},
            "ran": {measured.name: dict(measured.ran) for measured in evaluation.pipelines if measured.ran},
            "against_all": {
                name: {"nDCG@10": round(gain.difference, 4), "p": round(gain.p, 4)} for name, gain in gains.items()
            },
            "degraded": sum(measured.troubled for measured in evaluation.pipelines),
        }
    )


if __name__ == "__main__":
    main()
