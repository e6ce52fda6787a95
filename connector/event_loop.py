"""The event loop that commands and the synchronous facade run on: uvloop, which spends less on each request than asyncio's own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does, on that loop."""
    with open_runner() as runner:
        return runner.run(work)


def open_runner() -> asyncio.Runner:
    """A runner of that loop, for several calls."""
    if sys.platform == "win32":  # where there is no uvloop
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def in_own_thread(function: Callable[..., T], *arguments: object) -> T:
    """What `asyncio.to_thread` does, in a thread that nothing waits for once this is cancelled, the end of the loop neither."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome.set_result(function(*arguments))
        except BaseException as error:  # any; it is raised where this is awaited
            outcome.set_exception(error)

    threading.Thread(target=work, name=function.__name__, daemon=True).start()
    return await asyncio.wrap_future(outcome)
