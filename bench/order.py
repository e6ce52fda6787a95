"""Weights of the final order, chosen on all collections but one and measured on that one, each in turn.

    make bench-order DATA="FOLDER ..." ARGS="--queries 150 --documents 2500 --reranker NAME"

Every query goes through the real path once: embedded store, both legs, worker (bench-NAME indexes, as bench-quality
leaves them). What each weighting would answer is then worked out by the search's own functions. A weighting is taken
where it gains the most on the mean of the other collections, of those that are below fused on none of them."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import print_result
from quality import STORE, console, ingest, settings_for
from rich.console import Console
from rich.progress import track
from rich.table import Table

from connector.evaluation.datasets import Collection, read_collection
from connector.evaluation.searchers import open_searchers
from connector.remote.process import running_worker
from connector.search.fusion import fuse
from connector.search.rerank import select_pairs
from connector.settings.sections import Settings
from connector.tuning.choice import Weights, read_choice, with_blend
from connector.tuning.choose import difference
from connector.tuning.offline import Material, OfflineFigures, WindowScores
from connector.tuning.space import blends
from connector.types import SearchRequest

MEASURE = "nDCG@10"
SEED = 17
NAMED: Mapping[Weights, str] = {
    read_choice(Settings()).blend: "default",
    (0.7, 0.0, 0.0, 0.3): "two signals",
    (0.0, 0.3, 0.3, 0.4): "without fused",
    (0.0, 0.0, 0.0, 1.0): "the reranker alone",
}
Gains = Mapping[Weights, Mapping[str, float]]  # over fused, by collection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="BEIR-layout folders")
    parser.add_argument("--cluster", default=STORE)
    parser.add_argument("--queries", type=int, default=0, help="a seeded sample of so many of each folder; 0: all")
    parser.add_argument("--documents", type=int, default=0, help="so many of each folder, judged ones first; 0: all")
    parser.add_argument("--reranker", metavar="NAME", help="folder or hub name of what the worker reranks with")
    options = parser.parse_args()
    tried = list(dict.fromkeys([*NAMED, (0.3, 0.2, 0.2, 0.3), (0.2, 0.2, 0.2, 0.4), *blends()]))
    gains: dict[Weights, dict[str, float]] = {weights: {} for weights in tried}
    fused, errors = {}, {}
    with running_worker(["--reranker", options.reranker] if options.reranker else []) as worker:
        for whole in options.data:
            folder = cut(whole, options.queries, options.documents) if options.documents else whole
            settings = settings_for(folder, options.cluster, [f"rerank.url={worker.url}"])
            figures = gather(folder, options.queries, settings)
            choice = read_choice(settings)
            plain = replace(choice, rerank=False)
            fused[folder.name] = figures.mean(plain)
            errors[folder.name] = difference(figures, choice, plain).standard_error
            for weights in tried:
                gains[weights][folder.name] = figures.mean(with_blend(choice, weights)) - fused[folder.name]
    left_out = {name: leave_out(gains, name) for name in fused} if len(fused) > 1 else {}
    show(gains, fused, errors, left_out)
    print_result(
        {
            "bench": "order",
            "measure": MEASURE,
            "queries": options.queries or "all",
            "reranker": options.reranker or settings.worker.model,
            "fused": rounded(fused),
            "standard_errors": rounded(errors),
            "gains": {in_words(weights): rounded(own) for weights, own in gains.items()},
            "left_out": {
                name: {"weights": in_words(weights), "gain": round(gains[weights][name], 4)}
                for name, weights in left_out.items()
            },
        }
    )


def cut(folder: Path, queries: int, documents: int) -> Path:
    """A folder with a seeded sample of the queries, all documents that are judged for them, and others up to so many
    documents."""
    part = Path(tempfile.gettempdir()) / "connector-bench-parts" / f"{folder.name}-{queries}-{documents}"
    part.mkdir(parents=True, exist_ok=True)
    collection, chance = read_collection(folder), random.Random(SEED)
    if 0 < queries < len(collection.queries):
        collection = collection.only(chance.sample(collection.queries, queries))
    (file,) = folder.glob("corpus.jsonl*")
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    judged = {doc_id for grades in collection.qrels.values() for doc_id in grades}
    others = [row["_id"] for row in rows if row["_id"] not in judged]
    kept = judged | {*chance.sample(others, max(0, min(len(others), documents - len(judged))))}
    with open(part / "corpus.jsonl", "w", encoding="utf-8") as made:
        made.writelines(json.dumps(row) + "\n" for row in rows if row["_id"] in kept)
    with open(part / "queries.jsonl", "w", encoding="utf-8") as made:
        made.writelines(json.dumps({"_id": query.query_id, "text": query.text}) + "\n" for query in collection.queries)
    with open(part / "qrels.tsv", "w", encoding="utf-8") as made:
        made.write("query-id\tcorpus-id\tscore\n")
        for query_id, grades in collection.qrels.items():
            made.writelines(f"{query_id}\t{doc_id}\t{grade}\n" for doc_id, grade in grades.items())
    return part


def gather(folder: Path, queries: int, settings: Settings) -> OfflineFigures:
    """What the real path gives for a collection's queries: legs, and the reranker's scores of the window."""
    collection = read_collection(folder).sample(queries)
    ingest(folder, settings)
    return OfflineFigures(collection, asyncio.run(_gather(collection, settings)), settings, measured=MEASURE)


async def _gather(collection: Collection, settings: Settings) -> dict[str, Material]:
    limits = {"passages": settings.rerank.passages, "max_pairs": settings.rerank.max_pairs}
    made = {}
    async with open_searchers([settings]) as (opened,):
        assert opened.worker
        for query in track(collection.queries, f"searching {collection.name}", console=console):
            found = await opened.searcher.first_stage(SearchRequest(query.text))
            assert not found.degraded, found.degraded
            window = fuse(found.legs, settings.search.fusion)[: settings.rerank.window]
            texts = [passage.text for passage in select_pairs(window, **limits)]
            scores = await opened.worker.score(
                found.query, texts, weights=found.weights, timeout_s=settings.search.deadline_s
            )
            by_text = dict(zip(texts, scores.values.tolist(), strict=True))
            made[query.query_id] = Material(found, {None: WindowScores(by_text)})
    return made


def leave_out(gains: Gains, name: str) -> Weights:
    """What would be chosen by the other collections: the best mean of what loses on none, else what loses least."""
    others = {weights: [gain for of, gain in own.items() if of != name] for weights, own in gains.items()}
    harmless = [weights for weights, own in others.items() if min(own) >= 0]
    if harmless:
        return max(harmless, key=lambda weights: sum(others[weights]))
    return max(others, key=lambda weights: min(others[weights]))


def show(
    gains: Gains, fused: Mapping[str, float], errors: Mapping[str, float], left_out: Mapping[str, Weights]
) -> None:
    """`errors`: the standard errors of what the default gains."""
    table = Table(title=f"{MEASURE}: gain over fused, by the weights of the fused, lexical, dense and rerank scores")
    for head in ("weights", "", *fused, "mean", "least"):
        table.add_column(head, justify="left" if head in ("weights", "") else "right")
    table.add_row("", "fused", *(f"{figure:.4f}" for figure in fused.values()), "", "")
    for weights, own in gains.items():
        table.add_row(in_words(weights), NAMED.get(weights, ""), *_cells(list(own.values())))
    table.add_row("", "std. error of the default", *(f"{error:.4f}" for error in errors.values()), "", "")
    if left_out:
        table.add_section()
        table.add_row("", "chosen on", *(in_words(weights) for weights in left_out.values()), "", "")
        table.add_row("", "the others", *_cells([gains[weights][name] for name, weights in left_out.items()]))
    Console().print(table)


def _cells(own: Sequence[float]) -> list[str]:
    return [f"{value:+.4f}" for value in (*own, sum(own) / len(own), min(own))]


def in_words(weights: Weights) -> str:
    return " ".join(f"{weight:.2g}" for weight in weights)


def rounded(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
