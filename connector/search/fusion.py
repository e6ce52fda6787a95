"""What the legs found -> one ranking, as the settings have it. Pure: a search and a tuning call the same."""

from __future__ import annotations

from collections.abc import Mapping

from connector.search.combination import Combination
from connector.settings.sections import FusionSettings
from connector.types import Ranking


def fuse(legs: Mapping[str, Ranking], fusion: FusionSettings) -> Ranking:
    """The legs as one ranking; the dense leg's passage of a document comes first."""
    return fusion_of_legs(fusion).combine(legs)


def fusion_of_legs(fusion: FusionSettings) -> Combination:
    """How the legs are combined."""
    if fusion.kind == "linear":
        weights = {"dense": fusion.alpha, "lexical": 1 - fusion.alpha}
        return Combination("linear", weights, normalisation=fusion.normalisation)
    lexical, dense = fusion.weights
    return Combination("rrf", {"dense": dense, "lexical": lexical}, rank_constant=fusion.rank_constant)
