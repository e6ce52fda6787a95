"""Which model encodes, and which reranks? Every pair of them on judged collections, through the real path.

    make bench-models DATA="cranfield scifact squad_dev:300 msrd_movies:200:3000"
    make bench-models DATA=examples/corpus ARGS="--rerankers all-MiniLM-L6-v2@openvino --keep FOLDER"

DATA are folders in BEIR's layout; FOLDER:QUERIES:DOCUMENTS is a seeded part of one. Every encoder has an index of its
own in the embedded store, with the same passages (of at most 256 tokens). A reranker is a NAME or NAME@BACKEND; one
worker runs all of them. With --keep, what a search found and what a reranker scored is kept in a folder, and neither is
asked again. The first encoder with the first reranker is what the others are compared with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from machine import print_result
from parts import part_of
from quality import STORE
from rich.console import Console
from rich.table import Table
from signals import Gathered, Rerankers, Signals, final_order, gather

from connector.evaluation.statistics.measures import Run, mean, measure
from connector.evaluation.statistics.significance import Comparison, compare
from connector.models.files import short_name
from connector.search.fusion import fuse

MEASURES = ("nDCG@10", "R@50")
MODELS = ("all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5")
TWO_SIGNALS = {"before": 0.7, "lexical": 0.0, "dense": 0.0, "rerank": 0.3}
Values = Mapping[str, float]  # query_id -> value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="BEIR-layout folders, each FOLDER[:QUERIES[:DOCUMENTS]]")
    parser.add_argument("--encoders", nargs="+", default=MODELS)
    parser.add_argument("--rerankers", nargs="+", default=MODELS, metavar="NAME[@BACKEND]")
    parser.add_argument("--cluster", default=STORE, help="embedded:FOLDER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where signals are kept, and taken from")
    options = parser.parse_args()
    figures = {}
    with ExitStack() as stack:
        rerankers = Rerankers(stack)
        for given in options.data:
            folder = part_of(given)
            gathered = {
                encoder: gather(folder, encoder, options.rerankers, rerankers, store=options.cluster, keep=options.keep)
                for encoder in options.encoders
            }
            figures[folder.name] = compare_pairs(gathered, options.rerankers)
            show(folder.name, figures[folder.name])
    over_all = averages(list(figures.values()))
    if len(figures) > 1:
        show("mean of the collections", over_all)
    print_result({"bench": "models", "collections": figures, "mean": over_all})


def compare_pairs(gathered: Mapping[str, Gathered], rerankers: Sequence[str]) -> dict[str, Any]:
    """The measures of each stage and of each pair; what a pair gains over its fused order, over the order of two
    signals, and over the first pair."""
    stages: dict[str, dict[str, float]] = {}
    pairs: dict[str, dict[str, Any]] = {}
    first: Values | None = None
    for encoder, known in gathered.items():
        runs = stage_runs(known)
        stages |= {f"{stage}, {short_name(encoder)}": measures(run, known) for stage, run in runs.items()}
        fused = ndcg(runs["fused"], known)
        for reranker in rerankers:
            values = ndcg(final_run(known, reranker), known)
            first = first or values
            pairs[f"{short_name(encoder)} + {short_name(reranker)}"] = {
                "nDCG@10": round(mean(values), 4),
                "over fused": gain(values, fused),
                "over two signals": gain(values, ndcg(final_run(known, reranker, TWO_SIGNALS), known)),
                "over the first pair": gain(values, first),
            }
    (known, *_) = gathered.values()
    return {"queries": len(known.signals), "documents": known.documents, "stages": stages, "pairs": pairs}


def stage_runs(known: Gathered) -> dict[str, Run]:
    legs = {query_id: material.first_stage.legs for query_id, material in known.material.items()}
    runs: dict[str, Run] = {
        name: {query_id: found[name] for query_id, found in legs.items()} for name in ("lexical", "dense")
    }
    search = known.settings.search
    return runs | {"fused": {query_id: fuse(found, search.legs, search.fusion) for query_id, found in legs.items()}}


def final_run(known: Gathered, reranker: str, weights: Mapping[str, float] | None = None) -> Run:
    return {
        query_id: final_order(signals, reranker, weights or default_weights(signals, reranker, known), known.settings)
        for query_id, signals in known.signals.items()
    }


def default_weights(signals: Signals, reranker: str, known: Gathered) -> Mapping[str, float]:
    search, kind = known.settings.search, signals.material.scores[reranker].kind
    return known.settings.first_stage.weights_with(search.legs, kind)


def measures(run: Run, known: Gathered) -> dict[str, float]:
    return {name: round(mean(values), 4) for name, values in measure(run, known.collection.qrels, MEASURES).items()}


def ndcg(run: Run, known: Gathered) -> Values:
    return measure(run, known.collection.qrels, MEASURES[:1])[MEASURES[0]]


def gain(values: Values, baseline: Values) -> dict[str, float]:
    found: Comparison = compare({"": values, "baseline": baseline}, "baseline")[""]
    return {
        "difference": round(found.difference, 4),
        "standard_error": round(found.standard_error, 4),
        "p": round(found.p, 4),
    }


def averages(collections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every collection counts the same. The standard error is that of the mean over these collections."""
    count = len(collections)

    def of(*path: str) -> float:
        return round(sum(_at(own, path) for own in collections) / count, 4)

    def gained(name: str, over: str) -> dict[str, float]:
        errors = [_at(own, ("pairs", name, over, "standard_error")) for own in collections]
        return {
            "difference": of("pairs", name, over, "difference"),
            "standard_error": round(sum(error**2 for error in errors) ** 0.5 / count, 4),
        }

    overs = ("over fused", "over two signals", "over the first pair")
    return {
        "stages": {stage: {name: of("stages", stage, name) for name in MEASURES} for stage in collections[0]["stages"]},
        "pairs": {
            name: {"nDCG@10": of("pairs", name, "nDCG@10")} | {over: gained(name, over) for over in overs}
            for name in collections[0]["pairs"]
        },
    }


def _at(tree: Any, path: Sequence[str]) -> float:
    for name in path:
        tree = tree[name]
    return float(tree)


def show(name: str, figures: Mapping[str, Any]) -> None:
    """The two tables of a collection: the stages, and the pairs of encoder and reranker."""
    of = f": {figures['documents']:,} documents, {figures['queries']} queries" if "queries" in figures else ""
    table = Table(title=f"{name}{of}", title_justify="left", show_edge=False)
    for head in ("", *MEASURES, "over fused", "over two signals", "over the first pair"):
        table.add_column(head, justify="right" if head else "left")
    for stage, values in figures["stages"].items():
        table.add_row(stage, *(f"{values[measured]:.4f}" for measured in MEASURES))
    table.add_section()
    for pair, own in figures["pairs"].items():
        cells = [in_words(own[over]) for over in ("over fused", "over two signals", "over the first pair")]
        table.add_row(pair, f"{own['nDCG@10']:.4f}", "", *cells)
    Console(width=160).print(table)


def in_words(gained: Mapping[str, float]) -> str:
    chance = f", p {gained['p']:.3f}" if "p" in gained else ""
    return f"{gained['difference']:+.4f} ({gained['standard_error']:.4f}{chance})"


if __name__ == "__main__":
    main()
