"""Queries -> runs: every query through the real path, each stage's ranking kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.errors import ConnectorError
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.statistics.latency import stage_times
from connector.search.searcher import Searcher
from connector.types import Degradation, Hit, Ranking, SearchRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """What one search gave for a query: each stage's ranking, milliseconds by stage, what was missing; `error`: why
    nothing came."""

    query_id: str
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    took_ms: Mapping[str, float] = field(default_factory=dict)
    degraded: tuple[Degradation, ...] = ()
    error: str = ""
    ran: tuple[str, ...] = ()  # rerank stages


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one search to all queries."""

    answers: tuple[Answer, ...]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def runs(self) -> dict[str, dict[str, Ranking]]:
        """Stage -> query_id -> ranking."""
        stages = dict.fromkeys(stage for answer in self for stage in answer.rankings)
        return {
            stage: {answer.query_id: answer.rankings[stage] for answer in self if stage in answer.rankings}
            for stage in stages
        }

    @property
    def took_ms(self) -> dict[str, list[float]]:
        """Stage -> milliseconds of each search."""
        return stage_times([answer.took_ms for answer in self])

    @property
    def degraded(self) -> list[Degradation]:
        """All that was missing; of a search that failed, the whole search."""
        return [
            note
            for answer in self
            for note in ((Degradation("search", answer.error),) if answer.error else answer.degraded)
        ]


@dataclass(frozen=True, slots=True)
class Search:
    """A searcher with the options (fields of SearchRequest) that every query is sent with."""

    searcher: Searcher
    options: Mapping[str, Any] = field(default_factory=dict)


async def answer_all(
    searcher: Searcher,
    queries: Sequence[JudgedQuery],
    *,
    on_answer: Callable[[], None] = lambda: None,
    **options: Any,
) -> Answers:
    """Every query's rankings, one query after the other. `options` are fields of SearchRequest."""
    (answers,) = await answer_with_each([Search(searcher, options)], queries, on_answer=on_answer)
    return answers


async def answer_with_each(
    searches: Sequence[Search], queries: Sequence[JudgedQuery], *, on_answer: Callable[[], None] = lambda: None
) -> tuple[Answers, ...]:
    """The answers of each search. A query goes through all searches before the next one does, so that all see the
    machine and the cluster alike, and begins with another search each time, so that none always finds what others have
    warmed."""
    answers: list[list[Answer]] = [[] for _ in searches]
    for turn, query in enumerate(queries):
        for step in range(len(searches)):
            position = (turn + step) % len(searches)
            answers[position].append(await _answer(searches[position], query))
            on_answer()
    return tuple(Answers(tuple(given)) for given in answers)


async def _answer(search: Search, query: JudgedQuery) -> Answer:
    """A query that fails is answered by nothing, and says why."""
    try:
        response = await search.searcher.search(SearchRequest(query.text, **search.options))
    except ConnectorError as error:
        return Answer(query.query_id, error=str(error))
    rankings = {stage: _without_passages(ranking) for stage, ranking in response.rankings.items()}
    ran = tuple(name for name, outcome in response.stages.items() if outcome.ran)
    # an answer all the same, but not what the settings would give: an evaluation measures whole windows
    shrunk = (Degradation(name, outcome.why) for name, outcome in response.stages.items() if outcome.shrunk)
    return Answer(query.query_id, rankings, response.took_ms, (*response.degraded, *shrunk), ran=ran)


def _without_passages(ranking: Ranking) -> Ranking:
    """The texts of thousands of rankings would fill the memory, and so would each mention of an id by itself."""
    return tuple(Hit(sys.intern(hit.doc_id), hit.score) for hit in ranking)
