"""How a worker ends: what it accepted is answered, or told to come again when the time for that is up."""

from __future__ import annotations

import asyncio
import logging
import time

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.worker.wire import build_error

STILL_ANSWERED = frozenset({"/health", "/metrics"})  # of a worker that is stopping; /ready says that it is
RETRY_AFTER_S = 1
TICK_S = 0.1  # a second signal is noticed after as long
REFUSING_S = 2.0  # for the last refusals to be written
LINGER_S = 0.5  # who was just answered may come again at once, and is told that this worker stops rather than cut off
log = logging.getLogger(__name__)


class Drain:
    """The requests under way, and whether the worker is stopping. For one event loop; `begin` may be called by a
    signal."""

    def __init__(self) -> None:
        self.reason = ""  # why it stops; "" while it serves
        self.is_over = False  # what is under way now is refused
        self.refused = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, reason: str) -> None:
        """Refuse new requests from now on. The second call is for those who do not want to wait."""
        self.is_over = bool(self.reason)
        self.reason = self.reason or reason

    def enter(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)

    def leave(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)

    async def finish(self, limit_s: float) -> None:
        """Wait until what is under way has been answered, at most `limit_s` and not after a second call of `begin`;
        then have the rest refused."""
        began, waiting = time.monotonic(), len(self._tasks)
        log.info("stopping on %s: %d requests under way, up to %g s to answer them", self.reason, waiting, limit_s)
        while self._tasks and not self.is_over:
            left_s = limit_s - (time.monotonic() - began)
            self.is_over = left_s <= 0
            if not self.is_over:
                await asyncio.wait(list(self._tasks), timeout=min(left_s, TICK_S))
        cut_off = list(self._tasks)
        for task in cut_off:
            task.cancel()
        if cut_off:
            await asyncio.wait(cut_off, timeout=REFUSING_S)
        if waiting:
            await asyncio.sleep(LINGER_S)
        log.info(
            "stopped after %.1f s: %d answered, %d told to come again, %d new ones refused meanwhile",
            time.monotonic() - began, waiting - len(cut_off), len(cut_off), self.refused,
        )  # fmt: skip


class RefuseWhileStopping:
    """503 with Retry-After to what comes while the worker stops, and to what could not be answered in time."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app, self._drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in STILL_ANSWERED:
            return await self._app(scope, receive, send)
        if self._drain.reason:
            self._drain.refused += 1
            return await _refusal(scope)(scope, receive, send)
        task = asyncio.current_task()
        assert task
        has_begun = False

        async def last_of_connection(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                if self._drain.reason:
                    message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        self._drain.enter(task)
        try:
            await self._app(scope, receive, last_of_connection)
        except asyncio.CancelledError:
            if not self._drain.is_over or has_begun:
                raise
            task.uncancel()
            await _refusal(scope)(scope, receive, send)
        finally:
            self._drain.leave(task)


def _refusal(scope: Scope) -> JSONResponse:
    content = build_error(scope["path"], 503, "unhealthy", "the worker is stopping; try again")
    return JSONResponse(content, 503, {"retry-after": str(RETRY_AFTER_S), "connection": "close"})
