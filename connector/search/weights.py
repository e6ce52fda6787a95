"""How much each word of a query counts in late interaction: its rarity in the index."""

from __future__ import annotations

import math

from connector.errors import ConnectorError
from connector.rerankers.protocol import Reranker
from connector.retries import CircuitBreaker
from connector.search.run import SearchRun
from connector.types import TermStatistics

Weight = tuple[int, int, float]


class TermWeights:
    """The weights of the words of a query, where the reranker makes use of them."""

    def __init__(self, reranker: Reranker, breaker: CircuitBreaker) -> None:
        self._reranker = reranker
        self._breaker = breaker

    async def ask(self, run: SearchRun) -> tuple[Weight, ...] | None:
        """None where the reranker has no use for them, is left alone for now, or where nothing is known."""
        share = run.legs_share
        if self._breaker.is_open:
            return None
        try:
            info = await self._reranker.info(timeout_s=run.left_s(share))
        except ConnectorError:
            return None  # the rerank itself will say what is wrong
        if not info.weighs_words:
            return None
        found = await run.attempt(
            "term_weights",
            lambda: run.index.term_statistics(run.request.text, timeout_s=run.left_s(share)),
            share=share,
        )
        return idf_weights(found) if found else None


def idf_weights(statistics: TermStatistics) -> tuple[Weight, ...] | None:
    """(start, end, weight) of each term of a query: log((N + 1) / (df + 0.5)), never below 0.

    None where nothing is known. N documents, df of which hold the term. Stop words have no term and so no weight."""
    if not statistics.documents or not statistics.terms:
        return None
    return tuple(
        (term.start, term.end, max(math.log((statistics.documents + 1) / (term.frequency + 0.5)), 0.0))
        for term in statistics.terms
    )
