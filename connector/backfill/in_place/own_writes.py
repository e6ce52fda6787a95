"""Which sequence numbers of a shard are writes of ours: they need no second look."""

from __future__ import annotations

from bisect import bisect_right


class OwnWrites:
    """A set of numbers as intervals. While nobody else writes, they are one interval."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def add(self, number: int) -> None:
        if number in self:
            return
        at = bisect_right(self._starts, number)
        follows = at > 0 and self._ends[at - 1] == number - 1
        precedes = at < len(self._starts) and self._starts[at] == number + 1
        if follows and precedes:
            self._ends[at - 1] = self._ends.pop(at)
            del self._starts[at]
        elif follows:
            self._ends[at - 1] = number
        elif precedes:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number)

    def longest(self, count: int) -> list[tuple[int, int]]:
        """So many of the intervals, the longest first."""
        intervals = zip(self._starts, self._ends, strict=True)
        return sorted(intervals, key=lambda interval: interval[0] - interval[1])[:count]

    def clear(self) -> None:
        """Drop them all."""
        self._starts.clear()
        self._ends.clear()

    def forget(self, upto: int) -> None:
        """Drop the intervals that end at that number or before."""
        at = bisect_right(self._ends, upto)
        del self._starts[:at], self._ends[:at]
