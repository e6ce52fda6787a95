"""The window goes to the reranker, and each of its documents comes back with the score of its best passage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from connector.models.scorer import QueryWeights
from connector.rerankers.protocol import Reranker
from connector.types import Hit, Passage, Ranking


@dataclass(frozen=True, slots=True)
class Reranked:
    """The window after the reranker: each scored document with its best passage, best first; what was cut to fit."""

    ranking: Ranking
    truncated: frozenset[str]
    late: int = 0  # passages that were not scored in time
    without_text: int = 0  # documents that have no passage
    beyond_cap: int = 0  # documents of which no passage was sent, since the pairs were too many


async def rerank(
    query: str,
    window: Ranking,
    reranker: Reranker,
    *,
    passages: int,
    max_pairs: int,
    weights: QueryWeights | None,
    scope: str = "",
    timeout_s: float,
) -> Reranked:
    """Score every document of the window by its best passage. Documents without text, beyond the cap, or not scored in
    time are left out, and counted.

    The reranker's memory of the passages serves this `scope` only. Raises WorkerError."""
    without_text = sum(not hit.passages for hit in window)
    pairs = select_pairs(window, passages=passages, max_pairs=max_pairs)
    if not pairs:
        return Reranked((), frozenset(), without_text=without_text)
    texts = [passage.text for passage in pairs]
    scores = await reranker.score(query, texts, weights=weights, scope=scope, timeout_s=timeout_s)
    values = scores.values.tolist()
    truncated = {pairs[at].doc_id for at in scores.truncated if at < len(pairs) and not math.isnan(values[at])}
    return Reranked(
        best_passages(pairs, values),
        frozenset(truncated),
        late=scores.unscored,
        without_text=without_text,
        beyond_cap=len(window) - without_text - len({passage.doc_id for passage in pairs}),
    )


def select_pairs(window: Ranking, *, passages: int, max_pairs: int) -> list[Passage]:
    """The passages to score: the first of every document, then the second of each, up to `passages` of each, until
    `max_pairs` are reached."""
    in_turn = (hit.passages[turn] for turn in range(passages) for hit in window if turn < len(hit.passages))
    return list(islice(in_turn, max_pairs))


def best_passages(passages: Sequence[Passage], scores: Sequence[float]) -> Ranking:
    """Each document with the best of its passages, best first; what has no number for a score was not scored."""
    best: dict[str, Hit] = {}
    for passage, score in zip(passages, scores, strict=True):
        if math.isnan(score):
            continue
        if passage.doc_id not in best or score > best[passage.doc_id].score:
            best[passage.doc_id] = Hit(passage.doc_id, score, (passage,))
    return tuple(sorted(best.values(), key=lambda hit: (-hit.score, hit.doc_id)))
