"""All legs are asked side by side, each within the same share of the deadline; and what the query's words weigh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.errors import SearchFailed
from connector.search.legs.leg import Leg
from connector.search.run import SearchRun
from connector.search.weights import TermWeights, WordWeights
from connector.types import Degradation, Ranking


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What a search knows before it fuses: what each leg found, by its name, and the weights of the query's words."""

    query: str
    legs: Mapping[str, Ranking]
    weights: WordWeights = field(default_factory=dict)
    degraded: tuple[Degradation, ...] = ()


async def ask_legs(run: SearchRun, legs: Sequence[Leg], term_weights: TermWeights) -> FirstStage:
    """What all legs found. Raises AccessDenied where one was refused, SearchFailed where none answered."""
    starting = sorted(legs, key=lambda leg: leg.kind != "dense")  # the dense ones first, since they take the longest
    async with asyncio.TaskGroup() as tasks:
        asked = {leg.name: tasks.create_task(leg.ask(run)) for leg in starting}
        weighed = tasks.create_task(term_weights.ask(run))
    found = {leg.name: asked[leg.name].result() for leg in legs}
    run.check_allowed(*found)
    if all(ranking is None for ranking in found.values()):
        raise SearchFailed(run.failures)
    legs_found = {name: ranking or () for name, ranking in found.items()}
    return FirstStage(run.request.text, legs_found, weighed.result(), tuple(run.degraded))
