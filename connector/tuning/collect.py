"""Queries -> what choices are worked out from: the legs at the greatest depth, and every score that any choice may ask
for."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from connector.errors import WorkerUnavailable
from connector.evaluation.evaluate import Reporter
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.searchers import Opened
from connector.models.scorer import QueryWeights
from connector.rerankers.protocol import Reranker, RerankScores
from connector.search.legs.ask import FirstStage
from connector.search.stages.pairs import select_pairs
from connector.settings.search import StageSettings
from connector.settings.sections import Settings
from connector.tuning.choice import Choice, with_choice
from connector.tuning.offline import Material, WindowScores, fused_ranking
from connector.tuning.space import Space
from connector.types import SearchRequest

T = TypeVar("T")
DEADLINE_S = 120.0  # of what is asked once, and is not to be cut short
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class CandidateReranker:
    """A reranker to try: its `model` as settings have it, the `name` it is called by, a searcher that uses it."""

    model: str | None
    name: str
    opened: Opened


async def collect(
    queries: Sequence[JudgedQuery],
    plain: Opened,
    candidates: Sequence[CandidateReranker],
    space: Space,
    current: Choice,
    *,
    reporter: Reporter = Reporter(),
) -> dict[str, Material]:
    """Each query's material; `plain` is a searcher that reranks nothing. Raises what a search raises, and
    WorkerError."""
    reporter.begin("collecting", len(queries))
    collected = {}
    for query in queries:
        collected[query.query_id] = await _collect(query, plain, candidates, space, current)
        reporter.done()
    degraded = [note for material in collected.values() for note in material.first_stage.degraded]
    if degraded:
        reporter.note(f"{len(degraded)} legs were degraded; first: {degraded[0].stage}: {degraded[0].reason}")
    return collected


async def until_ready(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer of a worker that may be busy, or loading a model. Raises WorkerError."""
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            return await ask()
        except WorkerUnavailable as error:
            if error.status is None or time.monotonic() > end:  # not there at all
                raise
            await asyncio.sleep(error.retry_after_s or PAUSE_S)


async def _collect(
    query: JudgedQuery, plain: Opened, candidates: Sequence[CandidateReranker], space: Space, current: Choice
) -> Material:
    depth = max(space.depths)
    window = min(current.window, space.reach(depth))
    request = SearchRequest(query.text, depth=depth, window=window, deadline_s=DEADLINE_S)
    if not candidates:
        return Material(await plain.searcher.first_stage(request), {})
    found = [await candidate.opened.searcher.first_stage(request) for candidate in candidates]
    texts = _texts(found[0], candidates[0].opened.settings, space, current)
    scores = {
        candidate.model: await _score(candidate, first, texts)
        for candidate, first in zip(candidates, found, strict=True)
    }
    return Material(found[0], scores, await _score_later(candidates[0], found[0], texts))


def _texts(found: FirstStage, settings: Settings, space: Space, current: Choice) -> list[str]:
    """The passages that a reranker may be asked about: those of the largest window of every fusion at every depth."""
    texts: dict[str, None] = {}
    for choice in _widest(space, current):
        window = fused_ranking(found, with_choice(settings, choice))[: choice.window]
        passages = max(stage.passages for stage in (settings.first_stage, *settings.search.rerank))
        pairs = select_pairs(window, passages=passages, max_pairs=len(window) * passages)
        texts.update(dict.fromkeys(passage.text for passage in pairs))
    return list(texts)


def _widest(space: Space, current: Choice) -> Iterator[Choice]:
    for depth in space.depths:
        yield from space.fusions(replace(current, depth=depth, window=min(max(space.windows), space.reach(depth))))


async def _score(candidate: CandidateReranker, found: FirstStage, texts: Sequence[str]) -> WindowScores:
    """Asked for in as many requests as `max_pairs` of the stage makes of them."""
    return await _score_by(candidate.opened.settings.first_stage, candidate.opened, found, texts)


async def _score_later(
    candidate: CandidateReranker, found: FirstStage, texts: Sequence[str]
) -> dict[str, WindowScores]:
    """What the stages after the first say, by their names."""
    later = candidate.opened.settings.search.rerank[1:]
    return {str(stage.name): await _score_by(stage, candidate.opened, found, texts) for stage in later}


async def _score_by(stage: StageSettings, opened: Opened, found: FirstStage, texts: Sequence[str]) -> WindowScores:
    reranker, at_once = opened.rerankers[str(stage.reranker)], stage.max_pairs
    weights = found.weights.get(str(stage.reranker)) if stage.term_weights else None
    values: dict[str, float] = {}
    kind = ""
    for start in range(0, len(texts), at_once):
        part = texts[start : start + at_once]
        scores = await until_ready(partial(_ask, reranker, found.query, weights, part))
        values.update(zip(part, scores.values.tolist(), strict=True))
        kind = scores.kind
    return WindowScores({text: score for text, score in values.items() if not math.isnan(score)}, kind)


async def _ask(reranker: Reranker, query: str, weights: QueryWeights | None, texts: Sequence[str]) -> RerankScores:
    return await reranker.score(query, texts, weights=weights, timeout_s=DEADLINE_S)
