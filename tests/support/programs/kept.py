"""What a program keeps of what it did: pieces of memory that are still held, by the line that asked for them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from fnmatch import fnmatch

# of the test itself, and of what plays the engine and the callers
OTHERS = ("*/tests/*", "*pytest*", "*/threading.py", "*/socket.py", "*/logging/*", "*/tracemalloc.py", "*/linecache.py")

TIMES = 3


def kept_after(work: Callable[[], None], *, enough: int) -> int:
    """How many more pieces of memory are held each time after the work, done once before to warm up.

    What is made once is not kept each time, as a further connection to the engine is, which a busy machine needs. So
    the work is done again where it left as many as would be `enough`."""
    tracemalloc.start()
    try:
        work()
        _pieces()  # the first look compiles its patterns
        held, kept = _pieces(), enough
        for _ in range(TIMES):
            work()
            before, held = held, _pieces()
            kept = min(kept, held - before)
            if kept < enough:
                break
        return kept
    finally:
        tracemalloc.stop()


def count_held(kind: type) -> int:
    """How many objects of that class are held."""
    return sum(type(held) is kind for held in gc.get_objects())


def _pieces() -> int:
    gc.collect()
    found = tracemalloc.take_snapshot().statistics("filename")
    return sum(line.count for line in found if not any(fnmatch(line.traceback[0].filename, other) for other in OTHERS))
