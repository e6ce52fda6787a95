"""The window goes to the reranker, and each of its documents comes back with the score of its best passage."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from connector.errors import WorkerUnavailable
from connector.models.scorer import QueryWeights
from connector.rerankers.protocol import Reranker, RerankScores, Turn
from connector.types import Hit, Passage, Ranking

TOO_MANY = 429  # the status of a refusal for too much load


@dataclass(frozen=True, slots=True)
class Reranked:
    """The window after the reranker: each scored document with its best passage, best first; what was cut to fit."""

    ranking: Ranking
    truncated: frozenset[str]
    late: int = 0  # passages that were not scored in time
    without_text: int = 0  # documents that have no passage
    beyond_cap: int = 0  # documents of which no passage was sent, since the pairs were too many
    pairs: int = 0  # that were sent
    documents: int = 0  # that they are of
    beyond_room: int = 0  # pairs that were not, since the reranker has too much to do for them
    kind: str = ""  # of the reranker that scored them


async def rerank(
    query: str,
    window: Ranking,
    reranker: Reranker,
    *,
    passages: int,
    max_pairs: int,
    weights: QueryWeights | None,
    scope: str = "",
    turn: Turn,
    least: int,
    timeout_s: float,
) -> Reranked:
    """Score every document of the window by its best passage; where the reranker is busy, the first ones, as many as it
    has room for in this `turn`, and at least `least`. Documents without text, beyond the cap or the room, or not scored
    in time are left out, and counted.

    The reranker's memory of the passages serves this `scope` only. Raises WorkerError."""
    without_text = sum(not hit.passages for hit in window)
    pairs = select_pairs(window, passages=passages, max_pairs=max_pairs)
    if not pairs:
        return Reranked((), frozenset(), without_text=without_text)
    beyond_cap = len(window) - without_text - len({passage.doc_id for passage in pairs})
    texts = [passage.text for passage in pairs]
    scores = await _score_what_fits(
        query, texts, reranker, weights=weights, scope=scope, turn=turn, least=least, timeout_s=timeout_s
    )
    if scores is None:
        return Reranked((), frozenset(), without_text=without_text, beyond_cap=beyond_cap, beyond_room=len(pairs))
    values = scores.values.tolist()
    truncated = {pairs[at].doc_id for at in scores.truncated if at < len(values) and not math.isnan(values[at])}
    return Reranked(
        best_passages(pairs[: len(values)], values),
        frozenset(truncated),
        late=scores.unscored,
        without_text=without_text,
        beyond_cap=beyond_cap,
        pairs=len(values),
        documents=len({passage.doc_id for passage in pairs[: len(values)]}),
        beyond_room=len(pairs) - len(values),
        kind=scores.kind,
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


async def _score_what_fits(
    query: str,
    passages: Sequence[str],
    reranker: Reranker,
    *,
    weights: QueryWeights | None,
    scope: str,
    turn: Turn,
    least: int,
    timeout_s: float,
) -> RerankScores | None:
    """Scores of the first passages, as many as the reranker has room for; of the least where it refuses more. None
    where it has room for none. Raises WorkerError."""
    ends = time.monotonic() + timeout_s
    while True:
        room = await turn.room(passages, least=least, timeout_s=ends - time.monotonic())
        if not room:
            return None
        passages = passages[:room]
        try:
            return await reranker.score(
                query, passages, weights=weights, scope=scope, timeout_s=ends - time.monotonic()
            )
        except WorkerUnavailable as error:
            if error.status != TOO_MANY or room <= least:
                raise
        passages = passages[:least]
