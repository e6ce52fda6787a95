"""What `_score` says in a reply: positive numbers that fall over all pages, the tail after the window included.

`lexical`: the i-th hit gets the lexical leg's i-th score, so that thresholds, bars and sigmoids of applications go on.
`model`: what placed a hit, in (1, 2]; those of the tail are in (0, 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from connector.types import Ranking

ScoreKind = Literal["lexical", "model"]


def window_scores(
    kind: ScoreKind, order: Ranking, *, lexical: Sequence[float], dense: Ranking, placed: frozenset[str]
) -> tuple[float, ...]:
    """The scores of a window, in its order. `placed` are those whose score a reranker made; `dense` is used where the
    lexical leg found nothing."""
    if kind == "model":
        return tuple(_model_scores(order, placed))
    if not lexical:
        similar = sorted(((1 + hit.score) / 2 for hit in dense), reverse=True)
        return tuple(_dealt(similar or [1.0], len(order)))
    return tuple(_dealt(sorted(lexical, reverse=True), len(order)))


def tail_score(kind: ScoreKind, score: float, window: Sequence[float]) -> float:
    """The score of a hit behind the window, whose own is the engine's."""
    if kind == "model":
        return max(score, 0.0) / (1 + max(score, 0.0))
    return min(score, window[-1]) if window else score


def _dealt(scores: Sequence[float], count: int) -> Iterator[float]:
    yield from islice(scores, count)
    yield from [scores[-1]] * (count - len(scores))


def _model_scores(order: Ranking, placed: frozenset[str]) -> Iterator[float]:
    """A reranked hit is in (1.5, 2], any other in (1, 1.5], by its place among its like; never more than the hit before
    it."""
    rest = [hit for hit in order if hit.doc_id not in placed]
    highest = max((hit.score for hit in rest), default=0.0)
    last = 2.0
    for hit in order:
        if hit.doc_id in placed:
            score = 1.5 + 0.5 / (1 + math.exp(-max(min(hit.score, 50.0), -50.0)))
        else:
            score = 1 + 0.5 * (max(hit.score, 0.0) / highest if highest > 0 else 0.0)
        last = min(last, max(score, math.nextafter(1.0, 2.0)))
        yield last
