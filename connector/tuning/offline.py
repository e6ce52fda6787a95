"""A query's collected material + a choice -> the ranking that a search would give, by the search's own functions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from connector.evaluation.files.datasets import Collection
from connector.evaluation.statistics.measures import Run, cutoff_of, mean, measure
from connector.search.fusion import fuse
from connector.search.legs.ask import FirstStage
from connector.search.stages.order import blend, whole_order
from connector.search.stages.pairs import best_passages, select_pairs
from connector.search.stages.stage import with_passages
from connector.search.stages.when import why_left_out
from connector.settings.sections import Settings
from connector.tuning.choice import Choice, with_choice
from connector.types import Ranking

KEPT = 8  # fused rankings of all queries


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What one reranker, of a kind, said of the passages of a query, by their text; one without a score was not
    scored."""

    by_text: Mapping[str, float]
    kind: str


@dataclass(frozen=True, slots=True)
class Material:
    """All that is known of a query: its legs at the greatest depth, the scores of the first stage by model, and those
    of later stages by their names."""

    first_stage: FirstStage
    scores: Mapping[str | None, WindowScores]
    later: Mapping[str, WindowScores] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reranking:
    """What the stages make of a query, and how many documents they have reranked for it."""

    order: Ranking
    documents: int = 0


def fused_ranking(found: FirstStage, settings: Settings) -> Ranking:
    """The fused ranking of legs as deep as the settings have them, with a choice in them."""
    return fuse(_legs(found, settings), settings.search.legs, settings.search.fusion)


def final_ranking(material: Material, choice: Choice, settings: Settings) -> Ranking:
    """What the caller would get. `settings` have the choice in them."""
    return _reranked(fused_ranking(material.first_stage, settings), material, choice, settings).order


def _reranked(fused: Ranking, material: Material, choice: Choice, settings: Settings) -> Reranking:
    """The order after all stages, as a search has it; facts are known of no query."""
    order = before = fused
    legs, documents = _legs(material.first_stage, settings), 0
    for position, stage in enumerate(settings.search.rerank):
        if why_left_out(
            stage.when,
            query=material.first_stage.query,
            facts={},
            legs=legs,
            order=order,
            window=stage.window,
            k=settings.search.k,
        ):
            continue
        scores = material.later[str(stage.name)] if position else material.scores[choice.model]
        window = order[: stage.window]
        pairs = select_pairs(window, passages=stage.passages, max_pairs=stage.max_pairs)
        ranking = best_passages(pairs, [scores.by_text.get(passage.text, math.nan) for passage in pairs])
        documents += len(window)
        if ranking:
            weights = stage.weights_with(settings.search.legs, scores.kind)
            before = with_passages(blend(before, legs, ranking, weights), window)
            order = whole_order(before, order)
    return Reranking(order, documents)


def _legs(found: FirstStage, settings: Settings) -> dict[str, Ranking]:
    """As deep as the settings have them."""
    legs, depth = settings.search.legs, settings.search.depth
    return {name: ranking[: legs[name].depth or depth] for name, ranking in found.legs.items()}


class OfflineFigures:
    """The values of choices on the queries of a collection, each worked out once."""

    def __init__(
        self, collection: Collection, material: Mapping[str, Material], settings: Settings, *, measured: str
    ) -> None:
        self.measured = measured
        self._cutoff = cutoff_of(measured)  # what comes after it makes no difference
        self._collection = collection
        self._material = material
        self._settings = settings
        self._values: dict[Choice, Mapping[str, float]] = {}
        self._documents: dict[Choice, float] = {}
        self._fused: dict[tuple[Hashable, ...], Run] = {}

    def values(self, choice: Choice) -> Mapping[str, float]:
        """query_id -> value of the deciding measure."""
        if choice not in self._values:
            self._values[choice] = self.measure(self._run(choice), self.measured)
        return self._values[choice]

    def cost(self, choice: Choice) -> tuple[float, int]:
        """What a search has to do for a choice, for the order of equals: documents reranked on average, documents that
        a leg fetches."""
        self.values(choice)
        return (self._documents[choice], choice.depth)

    def mean(self, choice: Choice, query_ids: Sequence[str] = ()) -> float:
        """Over those of the queries; none: over all."""
        values = self.values(choice)
        return sum(values[query_id] for query_id in query_ids) / len(query_ids) if query_ids else mean(values)

    @property
    def query_ids(self) -> list[str]:
        return [query.query_id for query in self._collection.queries]

    def known(self) -> Mapping[Choice, Mapping[str, float]]:
        """Every choice that was worked out."""
        return self._values

    def measure(self, run: Run, name: str) -> Mapping[str, float]:
        """query_id -> value of any measure."""
        return measure(run, self._collection.qrels, [name])[name]

    def windows(self, choice: Choice) -> Run:
        """What the reranker gets, or would get: the fused ranking, cut at the window."""
        settings = with_choice(self._settings, choice)
        return {
            query_id: fused_ranking(material.first_stage, settings)[: choice.window]
            for query_id, material in self._material.items()
        }

    def ideal(self, choice: Choice) -> Run:
        """The windows as the best reranker would order them: by their grades."""
        return {
            query_id: tuple(sorted(window, key=lambda hit: -self._grade(query_id, hit.doc_id)))
            for query_id, window in self.windows(choice).items()
        }

    def _run(self, choice: Choice) -> Run:
        settings = with_choice(self._settings, choice)
        fused = self._fuse(choice, settings)
        done = {
            query_id: _reranked(fused[query_id], material, choice, settings)
            for query_id, material in self._material.items()
        }
        self._documents[choice] = sum(reranking.documents for reranking in done.values()) / max(len(done), 1)
        return {query_id: reranking.order[: self._cutoff] for query_id, reranking in done.items()}

    def _fuse(self, choice: Choice, settings: Settings) -> Run:
        """The fused rankings; the last few are kept, since many choices rerank the same ones."""
        key = (choice.depth, choice.kind, choice.rank_constant, choice.normalisation, choice.weights)
        if key not in self._fused:
            if len(self._fused) >= KEPT:
                del self._fused[next(iter(self._fused))]
            self._fused[key] = {
                query_id: fused_ranking(material.first_stage, settings) for query_id, material in self._material.items()
            }
        return self._fused[key]

    def _grade(self, query_id: str, doc_id: str) -> int:
        return self._collection.qrels[query_id].get(doc_id, 0)
