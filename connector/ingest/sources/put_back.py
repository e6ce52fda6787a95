"""Lines that are read ahead: what does not belong to the value at hand is put back, and is read again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

L = TypeVar("L", str, bytes)


class NumberedLines(Generic[L]):
    """Where the next line comes from first. `number` is that of the last line that was taken."""

    def __init__(self) -> None:
        self.number = 0
        self._returned: deque[L] = deque()

    def put_back(self, lines: Sequence[L]) -> None:
        """They come next, in this order."""
        self._returned.extendleft(reversed(lines))
        self.number -= len(lines)
