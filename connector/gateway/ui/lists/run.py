"""A list that is being compared, query by query, in the event loop of the page: bounded, and stopped when told to."""

from __future__ import annotations

import asyncio
import copy
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from connector.credentials import Credentials
from connector.errors import ConnectorError
from connector.gateway.problems import ApiRefusal
from connector.gateway.ui.lists.difference import QueryDifference
from connector.gateway.ui.lists.reading import QueryList
from connector.gateway.ui.page_params import PageParams

AT_ONCE = 2  # queries of a list
MAX_RUNNING, MAX_KEPT = 2, 8  # lists of this process
HOPELESS = 5  # so many queries that fail before any is answered end a run
BUSY = f"{MAX_RUNNING} lists are being compared already; stop one of them, or wait for its end"
FAULT = "a fault of the page itself; its log has the traceback"
RunState = Literal["running", "stopped", "done"]
CompareQuery = Callable[[str], Awaitable[QueryDifference]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedQuery:
    """A query without two answers, and why."""

    query: str
    reason: str


class ListRun:
    """One list and what is known of it so far. `params` says which pipelines and filters, `owner` who may see it."""

    def __init__(self, params: PageParams, listed: QueryList, owner: Credentials | None, compare: CompareQuery) -> None:
        self.run_id = secrets.token_urlsafe(9)
        self.params, self.listed, self.owner = params, listed, owner
        self.differences: list[QueryDifference] = []
        self.failed: list[FailedQuery] = []
        self.state: RunState = "running"
        self.why = ""  # it was stopped
        self._compare = compare
        self._began = self._ended = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def done(self) -> int:
        """Queries that are behind it."""
        return len(self.differences) + len(self.failed)

    @property
    def took_s(self) -> float:
        return (time.monotonic() if self.state == "running" else self._ended) - self._began

    @property
    def left_s(self) -> float | None:
        """By the pace so far; None while there is none."""
        return (len(self.listed.queries) - self.done) * self.took_s / self.done if self.done else None

    def at_this_moment(self) -> ListRun:
        """A copy to look at, which no later query changes."""
        snapshot = copy.copy(self)
        snapshot.differences, snapshot.failed = [*self.differences], [*self.failed]
        return snapshot

    def start(self) -> None:
        """Begin, in the event loop that is running."""
        self._task = asyncio.create_task(self._run())

    def stop(self, why: str) -> None:
        """What is under way is given up; what is done stays. Once it has ended this does nothing."""
        if self.state == "running":
            self._end("stopped", why)
            if self._task:
                self._task.cancel()

    async def ended(self) -> None:
        """Return when nothing of it is under way any more."""
        if self._task:
            await asyncio.wait([self._task])

    def _end(self, state: RunState, why: str = "") -> None:
        self.state, self.why, self._ended = state, why, time.monotonic()

    async def _run(self) -> None:
        waiting = iter(self.listed.queries)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(self._work(waiting))
        except* Exception as faults:  # any: whoever looks at the run is told, and the page goes on
            log.exception("a fault while a list was compared", exc_info=faults)
            self._end("stopped", FAULT)
        if self.state == "running":
            self._end("done")

    async def _work(self, waiting: Iterator[str]) -> None:
        for query in waiting:
            try:
                self.differences.append(await self._compare(query))
            except ConnectorError as error:
                self.failed.append(FailedQuery(query, str(error)))
                if len(self.failed) >= HOPELESS and not self.differences:
                    self.stop(f"the first {len(self.failed)} queries failed: {error}")


class ListRuns:
    """The runs of this process, the last ones of them."""

    def __init__(self) -> None:
        self._runs: dict[str, ListRun] = {}

    def begin(self, run: ListRun) -> None:
        """Start it; the oldest of those that ended makes room. Raises ApiRefusal where too many are under way."""
        if sum(other.state == "running" for other in self._runs.values()) >= MAX_RUNNING:
            raise ApiRefusal(503, "lists-busy", BUSY)
        if len(self._runs) >= MAX_KEPT:
            del self._runs[next(name for name, other in self._runs.items() if other.state != "running")]
        self._runs[run.run_id] = run
        run.start()

    def get(self, run_id: str, owner: Credentials | None) -> ListRun:
        """One that this caller began. Raises ApiRefusal where there is none."""
        run = self._runs.get(run_id)
        if run is None or run.owner != owner:
            message = f"this list is not here: the last {MAX_KEPT} are kept, until the gateway ends; compare it anew"
            raise ApiRefusal(404, "no-such-list", message)
        return run

    def of(self, owner: Credentials | None) -> list[ListRun]:
        """Those that this caller began, the last one first."""
        return [run for run in reversed(self._runs.values()) if run.owner == owner]

    async def close(self) -> None:
        for run in self._runs.values():
            run.stop("the gateway ended")
            await run.ended()
