"""One search under way: what it may still spend, what each stage took, and what failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from connector.clusters.protocol import FrozenIndex, SearchableIndex
from connector.errors import (
    AccessDenied,
    ClusterUnavailable,
    ConnectorError,
    ModelError,
    QueryError,
    ViewLost,
    WorkerError,
    WorkerUnavailable,
)
from connector.lexical import LexicalPage
from connector.rerankers.protocol import Turn
from connector.retries import CircuitBreaker, Retry
from connector.search.request import CheckedRequest
from connector.types import Degradation, Ranking, SearchHit, SearchResponse, StageOutcome, Vector

T = TypeVar("T")
log = logging.getLogger(__name__)
LEGS_SHARE = 0.6  # of the deadline, where a rerank follows
FIELDS_SHARE = 0.05  # of the deadline, kept for fetching the hits' fields
FIELDS_S = 0.3  # at least: what a busy engine and a busy machine take for it; without fields a hit says nothing
MAX_FIELDS_SHARE = 0.2  # of a short deadline
FIRST_PAUSE_S = 0.1  # before a leg or the reranker is asked again
FAIR_S = 1.0  # what is given less time than this is not blamed for being late


@dataclass(slots=True)
class SearchRun:
    """Everything that the stages of one search share.

    `index` is asked as the caller, where the request says who that is, and in one state for pages that hold still."""

    request: CheckedRequest
    index: SearchableIndex
    tries: int
    notes: list[str]  # what was not done as asked, though nothing failed
    started: float = field(default_factory=time.monotonic)
    took_ms: dict[str, float] = field(default_factory=dict)
    degraded: list[Degradation] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    denied: dict[str, AccessDenied | QueryError | ViewLost] = field(default_factory=dict)
    encoding: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while the query is encoded
    encoded: bool = False
    vector: Vector | None = None  # of the query, once encoded; None where that failed
    stages: dict[str, StageOutcome] = field(default_factory=dict)
    frozen: FrozenIndex | None = None  # the index in that state
    page: LexicalPage | None = None  # total and aggregations, where they were asked for and had
    gone: set[str] = field(default_factory=set)  # documents that were found, and were no longer there to be read
    turns: dict[str, Turn] = field(default_factory=dict)  # at the reranker of each stage

    @property
    def scope(self) -> str:
        """Of what the reranker may remember."""
        return self.request.credentials.scope if self.request.credentials else ""

    @property
    def legs_share(self) -> float:
        """Of the deadline, for the legs."""
        return LEGS_SHARE if self.request.reranks else self.ranking_share

    @property
    def ranking_share(self) -> float:
        """Of the deadline, for all that comes before the hits' fields."""
        return share_before_fields(self.request.deadline_s)

    def part_of_rest(self, part: float) -> float:
        """Of the deadline, up to where this part of the time is over that is left before the hits' fields."""
        until = self.ranking_share
        return until - max(self.left_s(until), 0.0) * (1 - part) / self.request.deadline_s

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until `share` of the deadline has passed."""
        return self.started + self.request.deadline_s * share - time.monotonic()

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """Around a stage, whose time is taken: in all, where it runs again."""
        began = time.monotonic()
        try:
            yield
        finally:
            took_ms = (time.monotonic() - began) * 1000
            self.took_ms[name] = round(self.took_ms.get(name, 0.0) + took_ms, 2)

    async def attempt(
        self, name: str, work: Callable[[], Awaitable[T]], *, share: float, breaker: CircuitBreaker | None = None
    ) -> T | None:
        """The work's result; None, and a note that the answer is degraded, where it fails or runs late.

        What broke off is asked for again while there is time: all that a search asks is safe to repeat."""
        given_s = max(self.left_s(share), 0)
        retry = Retry(
            (ClusterUnavailable, WorkerUnavailable),
            self.tries,
            FIRST_PAUSE_S,
            allows=lambda wait_s: wait_s < self.left_s(share),
        )
        async with self.stage(name):
            try:
                with breaker.watch(lambda error: _blames(error, given_s)) if breaker else nullcontext():
                    async with asyncio.timeout(given_s):
                        return await retry.run(work)
            except TimeoutError:
                self.note(name, f"no answer within {self.request.deadline_s * share:.2f} s")
            except (AccessDenied, QueryError, ViewLost) as error:
                self.denied[name] = error
                self.note(name, str(error))
            except ConnectorError as error:
                log.debug("the search goes on without %s", name, exc_info=True)
                self.note(name, str(error))
        return None

    def note(self, name: str, reason: str, *, lasting: bool = False) -> None:
        """The answer is degraded: this stage failed, ran late or came back short."""
        self.failures[name] = reason
        self.degraded.append(Degradation(name, reason, lasting))

    def check_allowed(self, *stages: str) -> None:
        """Raise AccessDenied or QueryError where one of the stages was refused, or ViewLost where the state of the
        index is gone: no answer could make up for that."""
        for name in stages:
            if name in self.denied:
                raise self.denied[name]

    def finish(
        self, hits: tuple[SearchHit, ...], rankings: Mapping[str, Ranking], cursor: str | None = None
    ) -> SearchResponse:
        """The answer, with the time of the whole search."""
        self.took_ms["total"] = round((time.monotonic() - self.started) * 1000, 2)
        return SearchResponse(
            self.request.query,
            hits,
            tuple(self.degraded),
            self.took_ms,
            self.stages,
            rankings,
            (*self.notes, *([_describe_gone(len(self.gone))] if self.gone else [])),
            cursor,
            self.page.total if self.page else None,
            self.page.aggregations if self.page else {},
        )


def share_before_fields(deadline_s: float) -> float:
    """Of a deadline, what the legs and the reranker may use up together."""
    return 1 - max(FIELDS_SHARE, min(FIELDS_S / deadline_s, MAX_FIELDS_SHARE))


def _describe_gone(count: int) -> str:
    documents = (
        "1 document that was found is no hit" if count == 1 else f"{count} documents that were found are no hits"
    )
    return f"{documents}: deleted while the search ran"


def _blames(error: Exception, given_s: float) -> bool:
    """Whether an encoder or reranker that raises this is to be left alone if it goes on like that."""
    if given_s < FAIR_S:
        return False
    if isinstance(error, WorkerError):  # a refusal is an answer: of this request (4xx), or for now (429)
        return error.status is None or error.status >= 500
    return isinstance(error, ModelError | TimeoutError)
