"""How long searches take with each reranker and window, and without one at each depth: measured on the real path, side
by side."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.evaluation.evaluate import Reporter
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.runs import Answers, Search, answer_with_each
from connector.evaluation.searchers import Opened
from connector.evaluation.statistics.latency import Percentiles, percentiles
from connector.tuning.choice import Choice
from connector.tuning.collect import CandidateReranker
from connector.tuning.space import Space

SEED = 31
MAX_LATE = 0.05  # of the searches: with more of them, the reranker does not keep to search.deadline_s either


@dataclass(frozen=True, slots=True)
class Option:
    """What a search costs by: no reranker (window 0) at a depth, or a window of a model."""

    depth: int
    window: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of the searches with an option, and the share of them that ran late or failed."""

    option: Option
    name: str
    took_ms: Percentiles
    late: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be chosen: all that was not timed, and what was if 95 of 100 searches keep to `p95_ms` and to the
    deadline."""

    p95_ms: float | None
    timings: tuple[Timing, ...] = ()

    def allows(self, choice: Choice) -> bool:
        """Whether the legs as deep as that, and the reranker with that window, are both within the budget."""
        return not self.broken(choice)

    def broken(self, choice: Choice) -> int:
        """How many of the two are not."""
        return sum(self.breaks(timing) for timing in self.timings if _concerns(timing.option, choice))

    def breaks(self, timing: Timing) -> bool:
        return timing.late > MAX_LATE or (self.p95_ms is not None and timing.took_ms.p95 > self.p95_ms)


async def take_times(
    queries: Sequence[JudgedQuery],
    plain: Opened,
    candidates: Sequence[CandidateReranker],
    space: Space,
    current: Choice,
    *,
    count: int,
    reporter: Reporter = Reporter(),
) -> tuple[Timing, ...]:
    """The timings of every option on a sample of `count` queries; each query goes through all of them, after one that
    is not counted."""
    options = list(_options(candidates, space, current))
    searches = [_search(option, plain, candidates) for option in options]
    asked = random.Random(SEED).sample(queries, min(count, len(queries)))
    reporter.begin("timing", len(options) * (len(asked) + 1))
    await answer_with_each(searches, asked[:1], on_answer=reporter.done)
    answers = await answer_with_each(searches, asked, on_answer=reporter.done)
    names = {candidate.model: candidate.name for candidate in candidates}
    return tuple(
        _timing(option, names[option.model] if option.window else "", given)
        for option, given in zip(options, answers, strict=True)
    )


def _options(candidates: Sequence[CandidateReranker], space: Space, current: Choice) -> Iterator[Option]:
    """Reranks at the current depth, or as deep as their window needs."""
    yield from (Option(depth) for depth in space.depths)
    for candidate in candidates:
        for window in space.windows:
            depth = min(depth for depth in space.depths if depth >= current.depth and window <= space.reach(depth))
            yield Option(depth, window, candidate.model)


def _search(option: Option, plain: Opened, candidates: Sequence[CandidateReranker]) -> Search:
    if not option.window:
        return Search(plain.searcher, {"rerank": False, "depth": option.depth, "window": None})
    (opened,) = (candidate.opened for candidate in candidates if candidate.model == option.model)
    return Search(opened.searcher, {"rerank": True, "depth": option.depth, "window": option.window})


def _timing(option: Option, name: str, answers: Answers) -> Timing:
    took = percentiles([answer.took_ms["total"] for answer in answers if "total" in answer.took_ms])
    failed = (bool(answer.error) or not all(note.lasting for note in answer.degraded) for answer in answers)
    late = sum(failed) / max(len(answers), 1)
    return Timing(option, name, took, late)


def _concerns(option: Option, choice: Choice) -> bool:
    if not option.window:
        return option.depth == choice.depth
    return choice.rerank and (option.model, option.window) == (choice.model, choice.window)
