"""What a program keeps of what it did: pieces of memory that are still held, by the line that asked for them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

# of the test itself, and of what plays the engine and the callers
OTHERS = ("*/tests/*", "*pytest*", "*/threading.py", "*/socket.py", "*/logging/*", "*/tracemalloc.py", "*/linecache.py")


def kept_after(work: Callable[[], None]) -> int:
    """How many pieces of memory are held after the work that were not before it, done once before to warm up."""
    tracemalloc.start()
    try:
        work()
        _pieces()  # the first look compiles its patterns
        before = _pieces()
        work()
        return _pieces() - before
    finally:
        tracemalloc.stop()


def count_held(kind: type) -> int:
    """How many objects of that class are held."""
    return sum(type(each) is kind for each in gc.get_objects())


def _pieces() -> int:
    gc.collect()
    found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pattern) for pattern in OTHERS])
    return sum(line.count for line in found.statistics("filename"))
