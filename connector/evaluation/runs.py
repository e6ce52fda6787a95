"""Queries -> runs: every query through the real path, each stage's ranking kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.errors import ConnectorError
from connector.evaluation.datasets import JudgedQuery
from connector.search.searcher import Searcher
from connector.types import Degradation, Ranking, SearchRequest

STAGES = ("lexical", "dense", "fused", "reranked")


@dataclass(slots=True)
class Answers:
    """The rankings of each stage by query, what each stage took, and what was missing."""

    runs: dict[str, dict[str, Ranking]] = field(default_factory=lambda: {stage: {} for stage in STAGES})
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    degraded: list[Degradation] = field(default_factory=list)


async def answer_all(
    searcher: Searcher,
    queries: Sequence[JudgedQuery],
    *,
    concurrency: int = 1,
    on_answer: Callable[[], None] = lambda: None,
    **options: Any,
) -> Answers:
    """Every query's rankings. `options` are fields of SearchRequest. A query that fails is answered by nothing, and noted."""
    answers = Answers()
    line = iter(queries)

    async def work() -> None:
        for query in line:
            try:
                response = await searcher.search(SearchRequest(query.text, **options))
            except ConnectorError as error:
                answers.degraded.append(Degradation("search", str(error)))
                continue
            finally:
                on_answer()
            for stage, ranking in response.rankings.items():
                answers.runs[stage][query.query_id] = ranking
            for stage, took in response.took_ms.items():
                answers.took_ms.setdefault(stage, []).append(took)
            answers.degraded.extend(response.degraded)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return answers
