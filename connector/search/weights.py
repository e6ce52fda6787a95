"""How much each word of a query counts in late interaction: its rarity in the index."""

from __future__ import annotations

import math

from connector.types import TermStatistics

Weight = tuple[int, int, float]


def idf_weights(statistics: TermStatistics) -> tuple[Weight, ...] | None:
    """(start, end, weight) of each term of a query: log((N + 1) / (df + 0.5)), never below 0; None where nothing is known.

    N documents, df of which hold the term. Stop words have no term and so no weight."""
    if not statistics.documents or not statistics.terms:
        return None
    return tuple(
        (term.start, term.end, max(math.log((statistics.documents + 1) / (term.frequency + 0.5)), 0.0))
        for term in statistics.terms
    )
