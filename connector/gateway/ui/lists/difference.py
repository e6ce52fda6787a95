"""Two orders of one query -> how they differ; and the differences of many in an order that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connector.evaluation.statistics.rank_biased_overlap import PERSISTENCE, rank_biased_overlap

DEPTH = 100  # of the orders that are compared
TOP = 10  # the hits that people look at
MEASURES = (f"nDCG@{TOP}", f"RR@{TOP}", f"R@{TOP}", f"Judged@{TOP}")  # what these alone decide


@dataclass(frozen=True, slots=True)
class QueryDifference:
    """What a query's two answers have in common. `alike` is their rank-biased overlap, `kept` how many of the first
    `top` hits both have, `first_change` the first rank at which they differ, None where they do not.

    `best` are the first hits of each, `took_ms` the times, `left_out` what failed or was not done."""

    query: str
    alike: float
    kept: int
    top: int
    first_change: int | None
    best: tuple[tuple[str, ...], tuple[str, ...]]
    took_ms: tuple[float, float]
    left_out: tuple[str, ...]


def compare_orders(
    query: str,
    orders: tuple[Sequence[str], Sequence[str]],
    took_ms: tuple[float, float],
    left_out: Iterable[str] = (),
) -> QueryDifference:
    """Pure: of two whole orders, best first."""
    first, second = (tuple(order[:DEPTH]) for order in orders)
    length = max(len(first), len(second))
    places = (rank for rank in range(1, length + 1) if first[rank - 1 : rank] != second[rank - 1 : rank])
    best = first[:TOP], second[:TOP]
    return QueryDifference(
        query,
        rank_biased_overlap(first, second, persistence=PERSISTENCE),
        len(set(best[0]) & set(best[1])),
        max(len(best[0]), len(best[1])),
        next(places, None),
        best,
        took_ms,
        tuple(dict.fromkeys(left_out)),
    )
