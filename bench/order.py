"""Weights of the final order, chosen on all collections but one and measured on that one, each in turn.

    make bench-order DATA="FOLDER ..." ARGS="--reranker NAME@BACKEND --keep FOLDER"

Each of DATA is FOLDER[:QUERIES[:DOCUMENTS]], a folder in BEIR's layout or a seeded part of one. Every query goes
through the real path once: embedded store, both legs, worker (bench-NAME indexes, as bench-quality leaves them). With
--keep, what it gave is kept in a folder, as bench-models keeps it. What each weighting would answer is then worked out
by the search's own functions. A weighting is taken where it gains the most on the mean of the other collections, of
those that are below fused on none of them.

The second table asks what each weighting would keep of a stronger reranker: the scores of relevant passages are raised
by so many standard deviations of the query's scores. That is made up, and only compares weightings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import pstdev
from typing import Any

from machine import print_result
from parts import part_of
from quality import STORE
from rich.console import Console
from rich.table import Table
from signals import ENCODER, Gathered, Rerankers, Signals, final_order, gather

from connector.evaluation.statistics.measures import mean, measure
from connector.evaluation.statistics.significance import Comparison, compare
from connector.search.fusion import fuse
from connector.settings.search import KINDS, StageSettings
from connector.tuning.choice import Weights
from connector.tuning.offline import WindowScores
from connector.tuning.space import blends

MEASURE = "nDCG@10"

SIGNALS = ("before", "lexical", "dense", "rerank")
DEFAULT, OF_CROSS_ENCODERS = (
    tuple(StageSettings().weights_with(KINDS, kind).values()) for kind in ("late-interaction", "cross-encoder")
)
NAMED: Mapping[Weights, str] = {
    DEFAULT: "default of late interaction",
    OF_CROSS_ENCODERS: "default of cross-encoders",
    (0.4, 0.1, 0.1, 0.4): "the default before",
    (0.7, 0.0, 0.0, 0.3): "two signals",
    (0.0, 0.3, 0.3, 0.4): "without fused",
    (0.0, 0.0, 0.0, 1.0): "the reranker alone",
}
OTHERS: tuple[Weights, ...] = (
    (0.3, 0.2, 0.2, 0.3),
    (0.2, 0.3, 0.3, 0.2),
    (0.2, 0.3, 0.2, 0.3),
    (0.25, 0.25, 0.25, 0.25),
    (0.4, 0.2, 0.2, 0.2),
    (0.3, 0.25, 0.25, 0.2),
    (0.1, 0.35, 0.35, 0.2),
)
RAISED = (0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations by which the scores of relevant passages are raised
Values = Mapping[str, float]  # query_id -> value
Gains = Mapping[Weights, Mapping[str, Comparison]]  # over fused, by collection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="BEIR-layout folders, each FOLDER[:QUERIES[:DOCUMENTS]]")
    parser.add_argument("--encoder", default=ENCODER, metavar="NAME")
    parser.add_argument("--reranker", default=ENCODER, metavar="NAME[@BACKEND]")
    parser.add_argument("--cluster", default=STORE, help="embedded:FOLDER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where signals are kept, and taken from")
    options = parser.parse_args()
    tried = list(dict.fromkeys([*NAMED, *OTHERS, *blends(2)]))
    gains: dict[Weights, dict[str, Comparison]] = {weights: {} for weights in tried}
    fused: dict[str, float] = {}
    asked: dict[str, Comparison] = {}
    kept: dict[Weights, list[list[float]]] = {weights: [] for weights in (*NAMED, *OTHERS)}  # by collection, by RAISED
    with ExitStack() as stack:
        rerankers = Rerankers(stack)
        for given in options.data:
            folder = part_of(given)
            known = gather(
                folder, options.encoder, [options.reranker], rerankers, store=options.cluster, keep=options.keep
            )
            plain = fused_values(known)
            fused[folder.name] = mean(plain)
            for weights in tried:
                gains[weights][folder.name] = gain(values(known, options.reranker, weights), plain)
            asked[folder.name] = gain(values(known, options.reranker, DEFAULT, asked=True), plain)
            stronger = [raise_relevant(known, options.reranker, by) for by in RAISED]
            for weights, own in kept.items():
                own.append([gain(values(signals, options.reranker, weights), plain).difference for signals in stronger])
    left_out = {name: leave_out(gains, name) for name in fused} if len(fused) > 1 else {}
    show(gains, fused, asked, left_out)
    show_stronger(kept)
    print_result(
        {
            "bench": "order",
            "measure": MEASURE,
            "encoder": options.encoder,
            "reranker": options.reranker,
            "fused": {name: round(value, 4) for name, value in fused.items()},
            "default": {name: in_json(found) for name, found in gains[DEFAULT].items()},
            "missing_scores_asked_for": {name: in_json(found) for name, found in asked.items()},
            "gains": {
                in_words(weights): {name: round(found.difference, 4) for name, found in own.items()}
                for weights, own in gains.items()
            },
            "raised": {
                in_words(weights): [round(sum(gained) / len(gained), 4) for gained in zip(*own, strict=True)]
                for weights, own in kept.items()
            },
            "left_out": {
                name: {"weights": in_words(weights), "gain": round(gains[weights][name].difference, 4)}
                for name, weights in left_out.items()
            },
        }
    )


def fused_values(known: Gathered) -> Values:
    search = known.settings.search
    run = {
        query_id: fuse(found.first_stage.legs, search.legs, search.fusion) for query_id, found in known.material.items()
    }
    return measure(run, known.collection.qrels, [MEASURE])[MEASURE]


def values(known: Gathered, reranker: str, weights: Weights, *, asked: bool = False) -> Values:
    shares = dict(zip(SIGNALS, weights, strict=True))
    run = {
        query_id: final_order(signals, reranker, shares, known.settings, asked=asked)
        for query_id, signals in known.signals.items()
    }
    return measure(run, known.collection.qrels, [MEASURE])[MEASURE]


def raise_relevant(known: Gathered, reranker: str, by: float) -> Gathered:
    """The same with a reranker that knows more: scores of relevant passages are raised by so many deviations."""
    return replace(
        known,
        signals={
            query_id: _raise_scores(signals, reranker, by, known.collection.qrels.get(query_id, {}))
            for query_id, signals in known.signals.items()
        },
    )


def _raise_scores(signals: Signals, reranker: str, by: float, grades: Mapping[str, int]) -> Signals:
    material = signals.material
    scores = material.scores[reranker]
    relevant = {
        passage.text
        for ranking in material.first_stage.legs.values()
        for hit in ranking
        for passage in hit.passages
        if grades.get(hit.doc_id, 0) > 0
    }
    more = by * pstdev(scores.by_text.values()) if scores.by_text else 0.0
    raised = {text: score + more * (text in relevant) for text, score in scores.by_text.items()}
    return replace(signals, material=replace(material, scores={reranker: WindowScores(raised, scores.kind)}))


def gain(own: Values, baseline: Values) -> Comparison:
    return compare({"": own, "baseline": baseline}, "baseline")[""]


def leave_out(gains: Gains, name: str) -> Weights:
    """What would be chosen by the other collections: the best mean of what loses on none, else what loses least."""
    others = {weights: [found.difference for of, found in own.items() if of != name] for weights, own in gains.items()}
    harmless = [weights for weights, own in others.items() if min(own) >= 0]
    if harmless:
        return max(harmless, key=lambda weights: sum(others[weights]))
    return max(others, key=lambda weights: min(others[weights]))


def show(
    gains: Gains, fused: Mapping[str, float], asked: Mapping[str, Comparison], left_out: Mapping[str, Weights]
) -> None:
    table = Table(title=f"{MEASURE}: gain over fused, by the weights of the fused, lexical, dense and rerank scores")
    for head in ("weights", "", *fused, "mean", "least"):
        table.add_column(head, justify="left" if head in ("weights", "") else "right")
    table.add_row("", "fused", *(f"{figure:.4f}" for figure in fused.values()), "", "")
    for weights, own in gains.items():
        table.add_row(in_words(weights), NAMED.get(weights, ""), *_cells([found.difference for found in own.values()]))
    table.add_section()
    default = gains[DEFAULT].values()
    table.add_row(in_words(DEFAULT), "its standard error", *(f"{found.standard_error:.4f}" for found in default))
    table.add_row("", "its p", *(f"{found.p:.4f}" for found in default))
    table.add_row("", "missing scores asked for", *_cells([found.difference for found in asked.values()]))
    if left_out:
        table.add_section()
        table.add_row("", "chosen on", *(in_words(weights) for weights in left_out.values()), "", "")
        chosen = [gains[weights][name].difference for name, weights in left_out.items()]
        table.add_row("", "the others", *_cells(chosen))
    Console(width=max(160, 60 + 12 * len(fused))).print(table)


def show_stronger(kept: Mapping[Weights, Sequence[Sequence[float]]]) -> None:
    table = Table(
        title=f"{MEASURE}: mean gain over fused, and the least, of a reranker whose relevant scores are raised"
    )
    table.add_column("weights")
    table.add_column("")
    for by in RAISED:
        table.add_column(f"by {by:g}", justify="right")
    for weights, own in kept.items():
        gained = list(zip(*own, strict=True))  # by RAISED, by collection
        cells = [f"{sum(differences) / len(differences):+.3f} ({min(differences):+.3f})" for differences in gained]
        table.add_row(in_words(weights), NAMED.get(weights, ""), *cells)
    Console(width=160).print(table)


def _cells(own: Sequence[float]) -> list[str]:
    return [f"{value:+.4f}" for value in (*own, sum(own) / len(own), min(own))]


def in_words(weights: Weights) -> str:
    return " ".join(f"{weight:.2g}" for weight in weights)


def in_json(found: Comparison) -> dict[str, Any]:
    return {
        "gain": round(found.difference, 4),
        "standard_error": round(found.standard_error, 4),
        "p": round(found.p, 4),
    }


if __name__ == "__main__":
    main()
