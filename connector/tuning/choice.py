"""What can be chosen: the settings of legs, fusion and the rerank stage, as one value that can be compared, applied and
written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.settings.load import value_at
from connector.settings.search import FusionKind, Normalisation, StageSettings, WhenSettings
from connector.settings.sections import Settings

Weights = tuple[float, ...]  # of the final order: before, each leg, rerank
RuleBounds = tuple[float | None, int | None]  # of a stage's rules: gap_below, agree_below


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that tune chooses. What the others make meaningless (`normalisation` under rrf) stays as it was.

    `weights` are those of the `legs`. `model` is of `reranker`, which the first stage reranks with; its are `window`
    and `blend`, too; a blend of None is what the kind of its model has by default. `bounds` are those of the rules of
    every stage."""

    depth: int
    kind: FusionKind
    rank_constant: int
    normalisation: Normalisation
    legs: tuple[str, ...]
    weights: tuple[float, ...]
    rerank: bool
    reranker: str
    model: str | None
    window: int
    blend: Weights | None
    bounds: tuple[RuleBounds, ...] = ()

    def changes(self, other: Choice) -> int:
        """In how many settings that matter the two differ."""
        mine, others = self._facts(), other._facts()
        return sum(others.get(name) != value for name, value in mine.items())

    @property
    def paths(self) -> list[str]:
        """The settings that matter."""
        of_kind = ["search.fusion.rank_constant"] if self.kind == "rrf" else ["search.fusion.normalisation"]
        weights = [f"search.legs.{leg}.weight" for leg in self.legs]
        model = [f"rerankers.{self.reranker}.model"] if self.rerank else []
        return ["search.depth", "search.fusion.kind", *of_kind, *weights, "search.rerank", *model]

    def _facts(self) -> dict[str, Any]:
        """What matters, one by one."""
        facts: dict[str, Any] = {"depth": self.depth, "kind": self.kind, "rerank": self.rerank}
        facts["of kind"] = self.rank_constant if self.kind == "rrf" else self.normalisation
        facts |= zip(self.legs, self.weights, strict=True)
        if self.rerank:
            facts |= {"model": self.model, "window": self.window, "blend": self.blend}
            facts["bounds"] = self.bounds
        return facts


def read_choice(settings: Settings) -> Choice:
    """What the settings have."""
    search, stage = settings.search, settings.first_stage
    legs = tuple(search.legs)
    return Choice(
        depth=search.depth,
        kind=search.fusion.kind,
        rank_constant=search.fusion.rank_constant,
        normalisation=search.fusion.normalisation,
        legs=legs,
        weights=tuple(leg.weight for leg in search.legs.values()),
        rerank=bool(search.rerank),
        reranker=str(stage.reranker),
        model=settings.first_reranker.model,
        window=stage.window,
        blend=_given_weights(stage, legs),
        bounds=tuple(_bounds(own_stage) for own_stage in search.rerank),
    )


def with_choice(settings: Settings, choice: Choice) -> Settings:
    """The settings with a choice in them: the stages that they have, or none. The first has the choice's window and
    weights, and no later one sees more documents."""
    search = settings.search
    names = ("kind", "rank_constant", "normalisation")
    fusion = search.fusion.model_copy(update={name: getattr(choice, name) for name in names})
    weights = dict(zip(choice.legs, choice.weights, strict=True))
    legs = {name: leg.model_copy(update={"weight": weights[name]}) for name, leg in search.legs.items()}
    reranker = settings.rerankers[choice.reranker].model_copy(update={"model": choice.model})
    update = {"depth": choice.depth, "legs": legs, "fusion": fusion, "rerank": tuple(_stages(settings, choice))}
    return settings.model_copy(
        update={
            "search": search.model_copy(update=update),
            "rerankers": {**settings.rerankers, choice.reranker: reranker},
        }
    )


def values_of(settings: Settings, choice: Choice) -> dict[str, Any]:
    """The settings of a choice that matter, path -> value, as they are with it in these settings."""
    chosen = with_choice(settings, choice)
    return {path: value_at(chosen, path) for path in choice.paths}


def describe(choice: Choice) -> str:
    """A choice in one line: `rrf 60, lexical:dense 1:1, depth 100; window 50, blend default`."""
    weights = f"{':'.join(choice.legs)} {':'.join(f'{weight:g}' for weight in choice.weights)}"
    of_kind = choice.rank_constant if choice.kind == "rrf" else choice.normalisation
    fusion = f"{choice.kind} {of_kind}, {weights}"
    if not choice.rerank:
        return f"{fusion}, depth {choice.depth}; no rerank"
    rules = [
        f", {name} {bound:g}"
        for bounds in choice.bounds
        for name, bound in zip(("gap_below", "agree_below"), bounds, strict=True)
        if bound is not None
    ]
    return f"{fusion}, depth {choice.depth}; window {choice.window}, blend {blend_in_words(choice)}{''.join(rules)}"


def blend_in_words(choice: Choice) -> str:
    """The weights of the final order: `0.2:0.2:0.2:0.4`, of the order before, each leg, and the reranker."""
    return "default" if choice.blend is None else ":".join(f"{weight:g}" for weight in choice.blend)


def _stages(settings: Settings, choice: Choice) -> Iterator[StageSettings]:
    if not choice.rerank:
        return
    stages = settings.search.rerank or (settings.first_stage,)
    bounds = choice.bounds or tuple(map(_bounds, stages))
    for position, (stage, own) in enumerate(zip(stages, bounds, strict=True)):
        weights = stage.weights if position else _stage_weights(settings, choice)
        window = min(stage.window, choice.window) if position else choice.window
        yield stage.model_copy(update={"window": window, "weights": weights, "when": _with_bounds(stage.when, own)})


def _bounds(stage: StageSettings) -> RuleBounds:
    return (stage.when.gap_below, stage.when.agree_below) if stage.when else (None, None)


def _with_bounds(when: WhenSettings | None, bounds: RuleBounds) -> WhenSettings | None:
    """Rules with these bounds; None where no rule is left."""
    if when is None:
        return None
    changed = when.model_copy(update={"gap_below": bounds[0], "agree_below": bounds[1]})
    return None if changed == WhenSettings() else changed


def _stage_weights(settings: Settings, choice: Choice) -> Mapping[str, float] | None:
    """As the stage has them where they are its own already."""
    stage = settings.first_stage
    if choice.blend is None:
        return None
    if choice.blend == _given_weights(stage, choice.legs):
        return stage.weights
    return dict(zip(("before", *choice.legs, "rerank"), choice.blend, strict=True))


def _given_weights(stage: StageSettings, legs: Sequence[str]) -> Weights | None:
    """Those of the settings; None where they leave it to the reranker's kind."""
    if stage.weights is None:
        return None
    return tuple(stage.weights.get(name, 0.0) for name in ("before", *legs, "rerank"))
