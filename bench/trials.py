"""What was tried for a bundled reranker: does anything beat all-MiniLM-L6-v2's token vectors as they are, on
collections that it did not learn from?

    make bench-trials HELD="FOLDER ..." LEARN="FOLDER ..." ARGS="--trained small-rate=FOLDER --queries 300"

Every trial reranks the same windows, found through the real path with all defaults (embedded store, bench-NAME indexes,
as make bench-quality leaves them), and its scores take the place of the worker's: the final order is the product's own.
Trials: other layers, token vectors without their mean, other ways to compare them, a linear map learned from the
judgments of LEARN, models that `connector train` made from the same weights (--trained), and the weights half way
between these and the base's. Nothing is chosen on HELD. In bfloat16 where the processor has it."""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import print_result
from quality import STORE, console, ingest, settings_for
from rich.progress import track
from rich.table import Table
from sentence_transformers import SentenceTransformer

from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.searchers import open_searchers
from connector.evaluation.statistics.measures import mean, measure
from connector.evaluation.statistics.significance import compare
from connector.models.batching import batches
from connector.models.files import find_model
from connector.models.late_interaction import spread
from connector.models.onnx.session import has_bf16
from connector.remote.process import running_worker
from connector.search.fusion import fuse
from connector.search.stages.order import blend, whole_order
from connector.search.stages.pairs import best_passages, select_pairs
from connector.settings.sections import Settings
from connector.types import Passage, Ranking, SearchRequest

BASE = "all-MiniLM-L6-v2"
MEASURE = "nDCG@10"
LAYERS = (4, 5, 6)  # of six
BATCH_TOKENS = 4_096
SEED = 13
NEGATIVES, POSITIVES = 20, 4  # of a query, for the linear map
SHARPNESS = 20.0  # of the softmax over scores
PENALTY, RATE, STEP = 1e-3, 1e-3, 16

Vectors = torch.Tensor  # [tokens, dims]
Change = Callable[[Vectors], Vectors]


@dataclass(frozen=True, slots=True)
class Case:
    """A judged query with what the first stage found: its legs, the fused ranking, its window as pairs, the weights [q]
    of the query's tokens."""

    query_id: str
    text: str
    legs: Mapping[str, Ranking]
    fused: Ranking
    pairs: Sequence[Passage]
    weights: Vectors
    grades: Mapping[str, int]


class Model:
    """An encoder's token vectors, layer by layer."""

    def __init__(self, folder: Path, *, max_tokens: int = 0, half_way_to: Model | None = None) -> None:
        """`max_tokens` 0: what the model is saved with. `half_way_to`: weights are the mean of the folder's and that
        model's."""
        whole = SentenceTransformer(str(folder), device="cpu")
        self.max_tokens = max_tokens or whole.max_seq_length
        self._network, self.tokenizer = whole[0].model.eval(), whole.tokenizer
        if half_way_to:
            others = half_way_to._network.state_dict()
            mean = {name: (weights + others[name]) / 2 for name, weights in self._network.state_dict().items()}
            self._network.load_state_dict(mean)

    def encode(self, texts: Sequence[str], layers: Sequence[int], label: str) -> dict[str, dict[int, Vectors]]:
        """text -> layer -> unit vectors in half precision, special tokens included."""
        texts = list(dict.fromkeys(texts))
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
        found = {}
        cuts = list(batches([len(token_ids) for token_ids in ids], max_batch_tokens=BATCH_TOKENS))
        for batch in track(cuts, label, console=console):
            features = self.tokenizer.pad({"input_ids": [ids[at] for at in batch]}, return_tensors="pt")
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
                states = self._network(**features, output_hidden_states=True).hidden_states
            for row, at in enumerate(batch):
                found[texts[at]] = {layer: unit(states[layer][row, : len(ids[at])].float()).half() for layer in layers}
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", type=Path, nargs="+", required=True, help="BEIR-layout folders to measure on")
    parser.add_argument("--learn", type=Path, nargs="*", default=[], help="folders that the linear map learns from")
    parser.add_argument(
        "--trained", action="append", default=[], metavar="NAME=FOLDER", help="a model of connector train"
    )
    parser.add_argument("--queries", type=int, default=0, help="a seeded sample of so many of each folder; 0: all")
    parser.add_argument("--cluster", default=STORE)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    base = Model(find_model(BASE))
    with running_worker([]) as worker:  # asked for its kind only, which the weights depend on
        learned = [gather(folder, options.queries, base, options.cluster, worker.url) for folder in options.learn]
        mapped = learn_map(learned, base) if learned else None
        trained = dict(model.split("=", 1) for model in options.trained)
        figures = {}
        for folder in options.held:
            cases, collection, settings = gather(folder, options.queries, base, options.cluster, worker.url)
            rankings = try_all(cases, base, mapped, trained, settings)
            values = {name: measure(run, collection.qrels, [MEASURE])[MEASURE] for name, run in rankings.items()}
            figures[collection.name] = show(collection.name, values)
    print_result({"bench": "trials", "base": BASE, "learned_from": [folder.name for folder in options.learn],
                  "queries": options.queries or "all", "measure": MEASURE, "held": figures})  # fmt: skip


def gather(
    folder: Path, queries: int, model: Model, cluster: str, worker_url: str
) -> tuple[list[Case], Collection, Settings]:
    """What the first stage finds for a collection's queries."""
    collection = read_collection(folder).sample(queries)
    settings = settings_for(folder, cluster)
    ingest(folder, settings)
    settings = settings.at_worker(worker_url)
    return asyncio.run(_gather(collection, settings, model)), collection, settings


async def _gather(collection: Collection, settings: Settings, model: Model) -> list[Case]:
    cases = []
    async with open_searchers([settings]) as (opened,):
        for query in track(collection.queries, f"searching {collection.name}", console=console):
            found = await opened.searcher.first_stage(SearchRequest(query.text))
            assert not found.degraded, found.degraded
            fused = fuse(found.legs, settings.search.legs, settings.search.fusion)
            stage = settings.first_stage
            limits = {"passages": stage.passages, "max_pairs": stage.max_pairs}
            tokens = model.tokenizer(
                found.query, return_offsets_mapping=True, return_special_tokens_mask=True, truncation=True,
                max_length=model.max_tokens,
            )  # fmt: skip
            weights = torch.from_numpy(
                spread(found.weights.get(str(stage.reranker)), tokens["offset_mapping"], tokens["special_tokens_mask"])
            )
            pairs = select_pairs(fused[: stage.window], **limits)
            grades = collection.qrels[query.query_id]
            cases.append(Case(query.query_id, found.query, found.legs, fused, pairs, weights, grades))
    return cases


def try_all(
    cases: Sequence[Case], base: Model, mapped: Change | None, trained: Mapping[str, str], settings: Settings
) -> dict[str, dict[str, Ranking]]:
    """trial -> query_id -> ranking."""
    texts = [text for case in cases for text in (case.text, *(pair.text for pair in case.pairs))]
    rankings = {"fused": {case.query_id: case.fused for case in cases}}
    vectors = base.encode(texts, LAYERS, "encoding")
    centre = torch.stack([layers[6].float().mean(0) for layers in vectors.values()]).mean(0)
    trials: dict[str, tuple[int, Change, Change]] = {
        "untrained": (6, same, same),
        "layer 4": (4, same, same),
        "layer 5": (5, same, same),
        "without the mean": (6, lambda tokens: unit(tokens - centre), same),
        "cubed cosines": (6, same, lambda cosines: cosines.clamp(min=0) ** 3),
    }
    if mapped:
        trials["linear map"] = (6, mapped, same)
    for name, (layer, change, sharpen) in trials.items():
        # these functions are called at once, so a loop's variable is what it was
        rankings[name] = rank(cases, lambda text: change(vectors[text][layer].float()), sharpen, settings)  # noqa: B023
    rankings |= add_layers(cases, vectors, settings, "")
    for name, folder in trained.items():
        for label, half_way_to in ((name, None), (f"{name}, half way", base)):
            model = Model(Path(folder), max_tokens=base.max_tokens, half_way_to=half_way_to)
            own = model.encode(texts, (5, 6), f"encoding with {label}")
            rankings[label] = rank(cases, lambda text: own[text][6].float(), same, settings)  # noqa: B023
            rankings |= add_layers(cases, own, settings, f"{label}, ")
    return rankings


def add_layers(
    cases: Sequence[Case], vectors: Mapping[str, Mapping[int, Vectors]], settings: Settings, label: str
) -> dict[str, dict[str, Ranking]]:
    """Of a model's last layers, as many as `vectors` has: their unit vectors added."""
    layers = sorted(next(iter(vectors.values())))
    added = {}
    for first in range(layers[-2], layers[0] - 1, -1):
        chosen = range(first, layers[-1] + 1)
        added[f"{label}layers {first} to {layers[-1]}"] = rank(
            cases,
            lambda text: unit(torch.stack([vectors[text][layer] for layer in chosen]).float().sum(0)),  # noqa: B023
            same,
            settings,
        )
    return added


def rank(
    cases: Sequence[Case], vectors_of: Callable[[str], Vectors], sharpen: Change, settings: Settings
) -> dict[str, Ranking]:
    """The product's final order with these vectors; `sharpen` is applied to the best cosine of each query token."""
    rankings = {}
    for case in cases:
        query, passages = vectors_of(case.text), [vectors_of(pair.text) for pair in case.pairs]
        scores = [float(sharpen((query @ passage.T).amax(1)) @ case.weights) for passage in passages]
        stage = settings.first_stage
        window, reranked = case.fused[: stage.window], best_passages(case.pairs, scores)
        final = blend(window, case.legs, reranked, stage.weights_with(case.legs, "late-interaction"))
        rankings[case.query_id] = whole_order(final, case.fused)
    return rankings


def learn_map(learned: Sequence[tuple[list[Case], Collection, Settings]], model: Model) -> Change:
    """x -> x + Wx, W learned from zero: softmax over a query's answers and other hits, W kept small."""
    cases = [case for cases, _, _ in learned for case in cases if any(grade > 0 for grade in case.grades.values())]
    chance = random.Random(SEED)
    drawn = [draw for draw in (_draw(case, chance) for case in cases) if draw]
    vectors = model.encode([text for case, docs, _ in drawn for text in (case.text, *docs)], [6], "encoding to learn")
    weight = torch.nn.Parameter(torch.zeros(384, 384))
    optimizer = torch.optim.AdamW([weight], lr=RATE, weight_decay=0.0)
    chance.shuffle(drawn)
    for at, (case, docs, answers) in enumerate(track(drawn, "learning a linear map", console=console), start=1):
        query, *passages = (
            unit(tokens + tokens @ weight) for tokens in (vectors[text][6].float() for text in (case.text, *docs))
        )
        scores = torch.stack([(query @ passage.T).amax(1) @ case.weights for passage in passages])
        loss = -torch.log_softmax(SHARPNESS * scores, 0)[:answers].mean() + PENALTY * (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        if at % STEP == 0:
            optimizer.step()
            optimizer.zero_grad()
    final = weight.detach()
    return lambda tokens: unit(tokens + tokens @ final)


def _draw(case: Case, chance: random.Random) -> tuple[Case, list[str], int] | None:
    """Passages of answers, then of other hits, one of each document; how many are answers."""
    first = {pair.doc_id: pair.text for pair in reversed(case.pairs)}
    answers = [doc_id for doc_id in first if case.grades.get(doc_id, 0) > 0][:POSITIVES]
    others = [doc_id for doc_id in first if case.grades.get(doc_id, 0) <= 0]
    chosen = chance.sample(others, min(NEGATIVES, len(others)))
    return (case, [first[doc_id] for doc_id in (*answers, *chosen)], len(answers)) if answers and chosen else None


def show(name: str, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Each trial beside the untrained."""
    against = compare(values, "untrained")
    table = Table(title=f"{name}: {MEASURE}, {len(values['fused'])} queries")
    for head in ("trial", MEASURE, "- untrained", "standard error", "p"):
        table.add_column(head, justify="left" if head == "trial" else "right")
    figures: dict[str, Any] = {}
    for trial, per_query in values.items():
        figures[trial] = {MEASURE: round(mean(per_query), 4)}
        cells = [f"{mean(per_query):.4f}"]
        if found := against.get(trial):
            cells += [f"{found.difference:+.4f}", f"{found.standard_error:.4f}", f"{found.p:.3f}"]
            figures[trial] |= {"difference": round(found.difference, 4), "p": round(found.p, 4)}
        table.add_row(trial, *cells)
    console.print(table)
    return figures


def unit(vectors: Vectors) -> Vectors:
    return torch.nn.functional.normalize(vectors, dim=-1)


def same(vectors: Vectors) -> Vectors:
    return vectors


if __name__ == "__main__":
    main()
