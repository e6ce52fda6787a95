"""Models of clicks: what a document would get if all stood where everybody looks.

A document that stands first is clicked more because it stands first. Both models take that out, in their own way. There
is no kept library for them without a framework for neural networks, and these are the two simplest of the
literature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.judging.formats.ubi import ClickCount

ROUNDS = 500
CLOSE = 1e-6  # two rounds that differ by less have come to an end
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attraction:
    """What a model makes of a document for a query. `looks` is how often somebody looked at it, as far as the model
    can tell: what the value is worth."""

    text: str
    doc_id: str
    value: float
    looks: float
    impressions: int
    clicks: int


def position_based(showings: Sequence[ClickCount]) -> tuple[Attraction, ...]:
    """The share of users who click a document once they look at it, by the position-based model: a click takes a look,
    which depends on the rank alone, and attraction, which depends on query and document alone.

    By expectation maximisation: A. Chuklin, I. Markov, M. de Rijke, Click Models for Web Search, 2015, chapter 4; the
    model: N. Craswell, O. Zoeter, M. Taylor, B. Ramsey, WSDM 2008. Only the product of both shares can be seen in
    clicks, so that the rank that is looked at most counts as looked at always."""
    cells = _Cells(showings)
    attraction = np.full(cells.pairs, 0.5)
    examination = np.full(cells.ranks, 0.5)
    for _ in range(ROUNDS):
        alpha, gamma = attraction[cells.pair], examination[cells.rank]
        unclicked = 1 - alpha * gamma
        attracted = cells.clicks + (cells.impressions - cells.clicks) * alpha * (1 - gamma) / unclicked
        looked = cells.clicks + (cells.impressions - cells.clicks) * gamma * (1 - alpha) / unclicked
        before = attraction
        attraction = np.minimum(cells.by_pair(attracted) / cells.by_pair(cells.impressions), 1 - CLOSE)
        examination = np.minimum(cells.by_rank(looked) / cells.by_rank(cells.impressions), 1 - CLOSE)
        if np.abs(attraction - before).max() < CLOSE:
            break
    most = float(examination.max()) if cells.clicks.any() else np.inf  # without a click nobody is known to have looked
    looks = cells.by_pair(cells.impressions * examination[cells.rank] / most)
    return cells.attractions(np.minimum(attraction * most, 1.0), looks)


def clicks_over_expected(showings: Sequence[ClickCount]) -> tuple[Attraction, ...]:
    """How many times as many clicks a document got as documents at its ranks get on average (COEC): 1 is the average.

    V. Zhang, R. Jones, WWW 2007 workshop on query log analysis. Looks are counted by the ranks' shares of clicks,
    against that of the rank with most."""
    cells = _Cells(showings)
    rates = cells.by_rank(cells.clicks) / cells.by_rank(cells.impressions)
    expected = cells.by_pair(cells.impressions * rates[cells.rank])
    clicks = cells.by_pair(cells.clicks)
    values = np.divide(clicks, expected, out=np.zeros_like(clicks), where=expected > 0)
    most = float(rates.max())
    return cells.attractions(values, expected / most if most else np.zeros_like(expected))


MODELS: Mapping[str, tuple[float, float, float]] = {
    # the least value of grades 1, 2 and 3
    "pbm": (0.05, 0.2, 0.5),
    "coec": (0.5, 1.0, 2.0),
}


def estimate(model: str, showings: Sequence[ClickCount]) -> tuple[Attraction, ...]:
    """By the model of that name in MODELS."""
    return position_based(showings) if model == "pbm" else clicks_over_expected(showings)


class _Cells:
    """What was shown, as arrays of a number for each (query, document) and rank."""

    def __init__(self, showings: Sequence[ClickCount]) -> None:
        self.keys = [*dict.fromkeys((showing.text, showing.doc_id) for showing in showings)]
        ranks = sorted({showing.rank for showing in showings})
        pair_places = {key: at for at, key in enumerate(self.keys)}
        rank_places = {rank: at for at, rank in enumerate(ranks)}
        self.pair = np.array([pair_places[showing.text, showing.doc_id] for showing in showings])
        self.rank = np.array([rank_places[showing.rank] for showing in showings])
        self.impressions: _Floats = np.array([showing.impressions for showing in showings], dtype=np.float64)
        self.clicks: _Floats = np.array([showing.clicks for showing in showings], dtype=np.float64)
        self.pairs, self.ranks = len(self.keys), len(ranks)

    def by_pair(self, values: _Floats) -> _Floats:
        """Their sums [pairs]."""
        return np.bincount(self.pair, values, self.pairs).astype(np.float64)

    def by_rank(self, values: _Floats) -> _Floats:
        """Their sums [ranks]."""
        return np.bincount(self.rank, values, self.ranks).astype(np.float64)

    def attractions(self, values: _Floats, looks: _Floats) -> tuple[Attraction, ...]:
        impressions, clicks = self.by_pair(self.impressions), self.by_pair(self.clicks)
        return tuple(
            Attraction(*key, float(values[at]), float(looks[at]), int(impressions[at]), int(clicks[at]))
            for at, key in enumerate(self.keys)
        )
