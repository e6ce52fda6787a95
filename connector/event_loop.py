"""The event loop of commands and of the synchronous facade: uvloop, which takes less time than asyncio's own."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from connector.errors import ConnectorClosed, UsageError

T = TypeVar("T")

LOOK_S = 0.2  # between looks for an interrupt, of a thread that waits


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
    """What `asyncio.to_thread` does, in a thread that nothing waits for once this is cancelled.

    The end of the loop does not wait for it either."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome.set_result(function(*arguments))
        except BaseException as error:  # any; it is raised where this is awaited
            outcome.set_exception(error)

    threading.Thread(target=work, name=getattr(function, "__name__", None), daemon=True).start()
    return await asyncio.wrap_future(outcome)


def wait_for(future: Future[T]) -> T:
    """What `future.result()` gives, for a thread that an interrupt has to reach.

    Python raises an interrupt between two steps of the main thread. One that comes just as the thread falls asleep, or
    reaches another thread, wakes nobody: the main thread hears of it when it next wakes up."""
    while not future.done():
        with suppress(TimeoutError):
            future.exception(timeout=LOOK_S)
    return future.result()


class LoopThread:
    """An event loop in a thread of its own, which any thread can give work to."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # what is given before the end is not lost
        self._is_closed = False
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=_serve, args=(started,), name="connector-loop", daemon=True)
        self._thread.start()
        self._loop = wait_for(started)

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in it."""
        return threading.current_thread() is self._thread

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was not left behind by a fork."""
        return os.getpid() == self._process

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work gives; the calling thread waits for it, and an interrupt there cancels it.

        Raises ConnectorClosed after `close`, UsageError in the loop's own thread and in a forked process."""
        if not self.is_of_this_process:
            raise UsageError("this connector was opened before the process was forked; open one in each process")
        if self.is_current:
            raise UsageError("this thread runs the connector's own event loop and cannot wait for it")
        with self._lock:
            if self._is_closed:
                raise ConnectorClosed("this connector is closed; open another one")
            future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return wait_for(future)
        except CancelledError:
            raise ConnectorClosed("this connector was closed while it was at work") from None
        except BaseException:  # an interrupt too; it is raised again
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what is under way, and end the thread."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        while self._thread.is_alive():
            self._thread.join(LOOK_S)  # as `wait_for`


def _serve(started: Future[asyncio.AbstractEventLoop]) -> None:
    try:
        with open_runner() as runner:
            loop = runner.get_loop()
            started.set_result(loop)
            loop.run_forever()
    except BaseException as error:  # any; whoever waits for the start is told, or it is raised again
        if started.done():
            raise
        started.set_exception(error)
