"""Several rankings -> one, and what each adds to a score. Pure functions; order is `(-score, doc_id)`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from connector.settings.search import FusionSettings, Normalisation
from connector.types import Hit, Passage, Ranking, ScoreExplanation, ScorePart

DEFAULTS = FusionSettings()


@dataclass(frozen=True, slots=True)
class Combination:
    """A way to make one ranking of several, which have names.

    `weights` are in the order in which a document's passages are taken from the rankings."""

    kind: Literal["rrf", "linear"]
    weights: Mapping[str, float]
    rank_constant: int = DEFAULTS.rank_constant
    normalisation: Normalisation = DEFAULTS.normalisation

    def combine(self, rankings: Mapping[str, Ranking]) -> Ranking:
        """One ranking; a ranking that is missing finds nothing."""
        found, weights = [rankings.get(name, ()) for name in self.weights], list(self.weights.values())
        if self.kind == "linear":
            return linear(found, weights=weights, normalisation=self.normalisation)
        return rrf(found, weights=weights, rank_constant=self.rank_constant)

    def explain(self, rankings: Mapping[str, Ranking], doc_ids: Collection[str]) -> dict[str, ScoreExplanation]:
        """What each ranking adds to the combined score of each of the documents."""
        parts: dict[str, dict[str, ScorePart]] = {doc_id: {} for doc_id in doc_ids}
        for name, weight in self.weights.items():
            if weight > 0:
                for doc_id, part in self._parts(rankings.get(name, ()), weight, doc_ids).items():
                    parts[doc_id][name] = part
        constant = self.rank_constant if self.kind == "rrf" else None
        normalisation = self.normalisation if self.kind == "linear" else None
        return {
            doc_id: ScoreExplanation(self.kind, score_parts, rank_constant=constant, normalisation=normalisation)
            for doc_id, score_parts in parts.items()
        }

    def _parts(self, ranking: Ranking, weight: float, doc_ids: Collection[str]) -> dict[str, ScorePart]:
        ranks = {hit.doc_id: rank for rank, hit in enumerate(ranking, start=1)}
        if self.kind == "rrf":
            return {
                doc_id: ScorePart(weight, ranks[doc_id], None, weight / (self.rank_constant + ranks[doc_id]))
                for doc_id in doc_ids
                if doc_id in ranks
            }
        normal, absent = _comparable(ranking, self.normalisation)
        values = {doc_id: normal.get(doc_id, absent) for doc_id in doc_ids}
        return {doc_id: ScorePart(weight, ranks.get(doc_id), value, weight * value) for doc_id, value in values.items()}


def rrf(
    rankings: Sequence[Ranking], *, weights: Sequence[float] | None = None, rank_constant: int = DEFAULTS.rank_constant
) -> Ranking:
    """Fuse by reciprocal rank: score(d) = sum of weight / (rank_constant + rank), rank from 1.

    Cormack, Clarke, Buettcher, SIGIR 2009. A ranking with weight 0 has no say; a document that a ranking holds twice
    counts once, at its best rank. Hits keep the passages of every ranking, the first of each before any second one."""
    scores: dict[str, float] = {}
    for ranking, weight in _heard(rankings, weights):
        for rank, doc_id in enumerate(dict.fromkeys(hit.doc_id for hit in ranking), start=1):
            scores[doc_id] = scores.get(doc_id, 0.0) + weight / (rank_constant + rank)
    return _ranked(scores, rankings)


def linear(
    rankings: Sequence[Ranking], *, weights: Sequence[float], normalisation: Normalisation = DEFAULTS.normalisation
) -> Ranking:
    """Fuse by the weighted sum of scores that were made comparable within each ranking.

    minmax: (s - min) / (max - min); a document that a ranking lacks counts 0. zscore: (s - mean) / deviation; one that
    a ranking lacks counts as much as its last. Bruch, Gai, Ingber, TOIS 2023, on both."""
    heard = _heard(rankings, weights)
    scores: dict[str, float] = {hit.doc_id: 0.0 for ranking, _ in heard for hit in ranking}
    for ranking, weight in heard:
        normal, absent = _comparable(ranking, normalisation)
        for doc_id in scores:
            scores[doc_id] += weight * normal.get(doc_id, absent)
    return _ranked(scores, rankings)


def normalise(scores: Mapping[str, float], how: Normalisation) -> dict[str, float]:
    """Scores made comparable. Where all are equal, minmax gives 1 to each and zscore 0."""
    if not scores:
        return {}
    values = list(scores.values())
    if how == "minmax":
        low, high = min(values), max(values)
        return {doc_id: (score - low) / (high - low) if high > low else 1.0 for doc_id, score in scores.items()}
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if min(values) == max(values) or not deviation:
        return dict.fromkeys(scores, 0.0)
    return {doc_id: (score - mean) / deviation for doc_id, score in scores.items()}


def _comparable(ranking: Ranking, how: Normalisation) -> tuple[dict[str, float], float]:
    """The normalised scores of a ranking, and what a document counts that it lacks."""
    normal = normalise({hit.doc_id: hit.score for hit in reversed(ranking)}, how)
    return normal, min(normal.values(), default=0.0) if how == "zscore" else 0.0


def _ranked(scores: Mapping[str, float], rankings: Sequence[Ranking]) -> Ranking:
    passages: dict[str, list[tuple[Passage, ...]]] = {}
    for ranking in rankings:
        for hit in ranking:
            if hit.passages:
                passages.setdefault(hit.doc_id, []).append(hit.passages)
    # two sorts by what is at hand take less time than one by pairs; the second keeps the first's order of equals
    order = sorted(sorted(scores), key=scores.__getitem__, reverse=True)
    return tuple([Hit(doc_id, scores[doc_id], _in_turn(passages.get(doc_id, ()))) for doc_id in order])


def _in_turn(sources: Sequence[tuple[Passage, ...]]) -> tuple[Passage, ...]:
    """One document's passages: the first of each source, then the second of each, and so on; each passage once."""
    if len(sources) < 2:
        return sources[0] if sources else ()
    turns = (passage for turn in zip_longest(*sources) for passage in turn if passage is not None)
    return tuple(dict.fromkeys(turns))


def _heard(rankings: Sequence[Ranking], weights: Sequence[float] | None) -> list[tuple[Ranking, float]]:
    """The rankings that have a say, with their weights."""
    return [pair for pair in zip(rankings, weights or [1.0] * len(rankings), strict=True) if pair[1] > 0]
