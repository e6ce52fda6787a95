"""How many searches of one `_msearch` are reranked before its deadline: as many as lately were in time.

It grows by half where that many were found with time to spare, and falls to what was in time where some were late."""

from __future__ import annotations

FIRST, MOST = 32, 500
AMPLE, LATE = 0.4, 0.5  # of the deadline; legs are given up before the end of it


class FittingSearches:
    """Learned by one process, for all callers together: they share its time."""

    def __init__(self) -> None:
        self.count = FIRST

    def learn(self, *, tried: int, found: int, took_s: float, deadline_s: float) -> None:
        """Of so many searches the orders of `found` were found. What failed at once says nothing of time."""
        if found < tried and took_s >= LATE * deadline_s:
            self.count = max(1, min(self.count, max(found, tried // 2)))
        elif tried >= self.count and found and took_s <= AMPLE * deadline_s:
            self.count = min(MOST, self.count + self.count // 2 + 1)
