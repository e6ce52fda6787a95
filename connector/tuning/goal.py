"""How a tuning chooses. The defaults of `connector tune` live here and nowhere else; importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

DEPTHS = (20, 50, 100, 200)  # of each leg, to try
WINDOWS = (10, 20, 50, 100)  # of the reranker, to try


@dataclass(frozen=True, slots=True)
class TuningGoal:
    """By which measure, within what, on which share of the queries, on how many timed ones, and the recall below which
    ranking is not the problem."""

    measured: str = "nDCG@10"
    budget_ms: float | None = None  # that 95 of 100 searches may take; None: no limit
    min_recall: float = 0.7
    timed: int = 40  # queries
    test_share: float = 0.5
