"""Memory that is free goes back to the system once in a while.

A search holds replies of some 100 kB for a moment, and the C library keeps the holes that they leave: without this a
process stays as large as its busiest moment made it."""

from __future__ import annotations

import asyncio
import ctypes

EVERY_S = 60.0


async def give_back_regularly() -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(give_back)  # it takes milliseconds, in which this loop goes on


def give_back() -> None:
    """Once, now; nothing where the C library is not glibc."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
