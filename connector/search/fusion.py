"""What the legs found -> one ranking, as the settings have it. Pure: a search and a tuning call the same."""

from __future__ import annotations

from collections.abc import Mapping

from connector.search.combination import Combination
from connector.settings.search import FusionSettings, LegSettings
from connector.types import Ranking


def fuse(found: Mapping[str, Ranking], legs: Mapping[str, LegSettings], fusion: FusionSettings) -> Ranking:
    """The legs as one ranking; the passages of dense legs come first."""
    return fusion_of_legs(legs, fusion).combine(found)


def fusion_of_legs(legs: Mapping[str, LegSettings], fusion: FusionSettings) -> Combination:
    """How the legs are combined: by their weights, or, of scores, by their shares of all weights."""
    # a leg's nearest passage of a document before one that matches its words
    weights = {name: legs[name].weight for name in sorted(legs, key=lambda name: legs[name].kind != "dense")}
    if fusion.kind == "linear":
        total = sum(weights.values())
        shares = {name: weight / total for name, weight in weights.items()}
        return Combination("linear", shares, normalisation=fusion.normalisation)
    return Combination("rrf", weights, rank_constant=fusion.rank_constant)
