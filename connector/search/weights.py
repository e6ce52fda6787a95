"""How much each word of a query counts in late interaction: its rarity in the index."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping

from connector.errors import ConnectorError
from connector.search.named_reranker import NamedReranker
from connector.search.run import SearchRun
from connector.types import TermStatistics

Weight = tuple[int, int, float]
WordWeights = Mapping[str, tuple[Weight, ...]]  # by the name of the reranker that makes use of them


class TermWeights:
    """The weights of the words of a query, where a reranker makes use of them."""

    def __init__(self, rerankers: Collection[NamedReranker]) -> None:
        self._rerankers = rerankers

    async def ask(self, run: SearchRun) -> WordWeights:
        """None for a reranker that has no use for them, or is left alone for now; none at all where nothing is
        known."""
        if not run.request.reranks:
            return {}
        share = run.legs_share
        asked = await asyncio.gather(*(_weighs_words(reranker, run.left_s(share)) for reranker in self._rerankers))
        weighing = [reranker.name for reranker, weighs in zip(self._rerankers, asked, strict=True) if weighs]
        if not weighing:
            return {}
        found = await run.attempt(
            "term_weights",
            lambda: run.index.term_statistics(run.request.text, timeout_s=run.left_s(share)),
            share=share,
        )
        weights = idf_weights(found) if found else None
        return dict.fromkeys(weighing, weights) if weights else {}


async def _weighs_words(reranker: NamedReranker, timeout_s: float) -> bool:
    if reranker.breaker.is_open:
        return False
    try:
        return (await reranker.client.info(timeout_s=timeout_s)).weighs_words
    except ConnectorError:
        return False  # the rerank itself will say what is wrong


def idf_weights(statistics: TermStatistics) -> tuple[Weight, ...] | None:
    """(start, end, weight) of each term of a query: log((N + 1) / (df + 0.5)), never below 0.

    None where nothing is known. N documents, df of which hold the term. Stop words have no term and so no weight."""
    if not statistics.documents or not statistics.terms:
        return None
    return tuple(
        (term.start, term.end, max(math.log((statistics.documents + 1) / (term.frequency + 0.5)), 0.0))
        for term in statistics.terms
    )
