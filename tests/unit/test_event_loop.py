"""A loop in a thread of its own ends with a word to whoever waits for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connector.errors import ConnectorClosed, UsageError
from connector.event_loop import LoopThread


def test_who_waits_for_a_loop_that_closes_is_told() -> None:
    loop, is_at_work = LoopThread(), threading.Event()

    async def work() -> None:
        is_at_work.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loop.run, work)
        assert is_at_work.wait(120)
        loop.close()

        with pytest.raises(ConnectorClosed, match="closed while it was at work"):
            waiting.result()
    with pytest.raises(ConnectorClosed, match="is closed; open another one"):
        loop.run(work)


def test_the_thread_of_a_loop_does_not_wait_for_it() -> None:
    loop = LoopThread()

    async def nothing() -> None: ...

    async def work() -> None:
        loop.run(nothing)

    try:
        with pytest.raises(UsageError, match="cannot wait for it"):
            loop.run(work)
    finally:
        loop.close()
