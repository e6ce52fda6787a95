"""The event loop that commands and the synchronous facade run on: uvloop, which spends less on each request than asyncio's own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
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
