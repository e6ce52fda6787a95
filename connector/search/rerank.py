"""The window goes to the worker and comes back in its final order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from connector.models.scorer import QueryWeights
from connector.rerankers.worker import WorkerClient
from connector.search.fusion import linear, rrf
from connector.types import Hit, Passage, Ranking

Blend = Literal["rerank", "rrf", "linear"]
# what measured best for each kind of scorer (docs/measurements/quality.md)
BEST_BLEND: Mapping[str, Blend] = {"late-interaction": "linear", "cross-encoder": "rerank"}


@dataclass(frozen=True, slots=True)
class Reranked:
    """The window after the worker: each scored document with its best passage, best first; and what was cut to fit."""

    ranking: Ranking
    truncated: frozenset[str]
    kind: str
    late: int = 0  # passages that were not scored in time


async def rerank(
    query: str,
    window: Ranking,
    worker: WorkerClient,
    *,
    passages: int,
    max_pairs: int,
    weights: QueryWeights | None,
    scope: str = "",
    timeout_s: float,
) -> Reranked:
    """Score every document of the window by its best passage. Documents without text, beyond the cap, or not scored in time are left out.

    The worker's memory of the passages serves this `scope` only. Raises WorkerError."""
    pairs = select_pairs(window, passages=passages, max_pairs=max_pairs)
    if not pairs:
        return Reranked((), frozenset(), "")
    texts = [passage.text for passage in pairs]
    scores = await worker.score(query, texts, weights=weights, scope=scope, timeout_s=timeout_s)
    values = scores.values.tolist()
    truncated = {pairs[at].doc_id for at in scores.truncated if at < len(pairs) and not math.isnan(values[at])}
    return Reranked(best_passages(pairs, values), frozenset(truncated), scores.kind, scores.unscored)


def best_passages(passages: Sequence[Passage], scores: Sequence[float]) -> Ranking:
    """Each document with the best of its passages, best first; what has no number for a score was not scored."""
    best: dict[str, Hit] = {}
    for passage, score in zip(passages, scores, strict=True):
        if math.isnan(score):
            continue
        if passage.doc_id not in best or score > best[passage.doc_id].score:
            best[passage.doc_id] = Hit(passage.doc_id, score, (passage,))
    return tuple(sorted(best.values(), key=lambda hit: (-hit.score, hit.doc_id)))


def select_pairs(window: Ranking, *, passages: int, max_pairs: int) -> list[Passage]:
    """The passages to score: the first of every document, then the second of each, up to `passages` of each, until
    `max_pairs` are reached."""
    in_turn = (hit.passages[turn] for turn in range(passages) for hit in window if turn < len(hit.passages))
    return list(islice(in_turn, max_pairs))


def blend(window: Ranking, reranked: Ranking, how: Blend, *, alpha: float, rank_constant: int) -> Ranking:
    """The final order of the documents that were scored: by the rerank score alone, or fused with the first stage.

    rrf fuses the two rankings, linear the z-scores that both have within the window; `alpha` is the reranker's share."""
    scored = {hit.doc_id for hit in reranked}
    first_stage = tuple(hit for hit in window if hit.doc_id in scored)
    match how:
        case "rerank":
            return reranked
        case "rrf":
            return rrf([first_stage, reranked], weights=[1 - alpha, alpha], rank_constant=rank_constant)
        case "linear":
            return linear([first_stage, reranked], weights=[1 - alpha, alpha], normalisation="zscore")


def passage_choice(*sources: Sequence[Hit]) -> dict[str, Passage]:
    """The passage to show for each document: from the first source that has one."""
    chosen: dict[str, Passage] = {}
    for ranking in sources:
        for hit in ranking:
            if hit.passages:
                chosen.setdefault(hit.doc_id, hit.passages[0])
    return chosen
