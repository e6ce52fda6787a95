"""The way of a search with given settings: which rankings it has, what each is made of, and how long it is to each."""

from __future__ import annotations

from collections.abc import Mapping

from connector.evaluation.runs import Answer
from connector.settings.sections import Settings
from connector.types import Ranking

FUSED, RERANKED = "fused", "reranked"


class Route:
    """Legs, fusion and rerank stages by their names, as the times, notes and rankings of an answer have them."""

    def __init__(self, settings: Settings) -> None:
        self._legs = {name: leg.kind for name, leg in settings.search.legs.items()}
        self._stages = [str(stage.name) for stage in settings.search.rerank]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all rankings: each leg's, the fused one, the order after each rerank stage, and the last as `reranked`."""
        return (*self._legs, FUSED, *self._stages, *([RERANKED] if self._stages else []))

    @property
    def distinct(self) -> tuple[str, ...]:
        """The same with the last stage only once, as `reranked`."""
        return (*self._legs, FUSED, *self._stages[:-1], *([RERANKED] if self._stages else []))

    def is_leg(self, name: str) -> bool:
        return name in self._legs

    def needs_vectors(self, name: str) -> bool:
        """Whether it is a leg that an index without vectors does not have."""
        return self._legs.get(name) == "dense"

    def reranks(self, name: str) -> bool:
        """Whether the ranking is that of a rerank stage."""
        return name not in self._legs and name != FUSED

    def ranking(self, name: str, answer: Answer) -> Ranking:
        """What a caller gets of a search that ends there: where a stage did not run, the order before it."""
        if not self.reranks(name):
            return answer.rankings.get(name, ())
        found = answer.rankings.get(name) or ()
        names = reversed([FUSED, *self._up_to(name)])
        return found or next((answer.rankings[other] for other in names if other in answer.rankings), ())

    def failure(self, name: str, answer: Answer) -> str:
        """Why there is no ranking for a query; empty where there is one, or where there was nothing to find."""
        return answer.error or ("" if self.ranking(name, answer) else "; ".join(self.degradations(name, answer)))

    def degradations(self, name: str, answer: Answer) -> tuple[str, ...]:
        """What was missing or late of all that the ranking is made of."""
        made_of = self.made_of(name)
        return tuple(f"{missing.stage}: {missing.reason}" for missing in answer.degraded if missing.stage in made_of)

    def made_of(self, name: str) -> frozenset[str]:
        """What a ranking is made of, as the times and the notes of a search call it."""
        if name in self._legs:
            return frozenset({name} | ({"encode"} if self._legs[name] == "dense" else set()))
        fused = {"fuse", *(part for leg in self._legs for part in self.made_of(leg))}
        return frozenset(fused if name == FUSED else {*fused, "term_weights", *self._up_to(name)})

    def answer_ms(self, name: str, took_ms: Mapping[str, float], *, last: bool) -> float:
        """How long an answer takes that ends with this ranking and its hits' fields.

        Of the `last` part of a search this was measured. Before that it is the longest way there: the legs run side by
        side, the encoder before the dense ones, the stages one after the other."""
        if last:
            return took_ms.get("total", 0.0)

        def took(*parts: str) -> float:
            return sum(took_ms.get(part, 0.0) for part in parts)

        if name in self._legs:
            return took(*self.made_of(name), "fields")
        legs = max(took(*self.made_of(leg)) for leg in self._legs)
        return legs + took("fuse", *([] if name == FUSED else self._up_to(name)), "fields")

    def _up_to(self, name: str) -> list[str]:
        """The stages to the one of that name."""
        return self._stages if name == RERANKED else self._stages[: self._stages.index(name) + 1]
