"""What can be chosen: the settings of fusion, depth and rerank, as one value that can be compared, applied and
written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from connector.settings.load import value_at
from connector.settings.sections import Blend, FusionKind, Normalisation, Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that tune chooses. What the others make meaningless (`alpha` under rrf) stays as it was."""

    depth: int
    kind: FusionKind
    rank_constant: int
    weights: tuple[float, float]
    normalisation: Normalisation
    alpha: float
    rerank: bool
    model: str | None
    window: int
    blend: Blend
    blend_alpha: float

    @property
    def cost(self) -> tuple[int, int]:
        """What a search has to do for it, for the order of equals: documents reranked, documents that a leg fetches."""
        return (self.window if self.rerank else 0, self.depth)

    def changes(self, other: Choice) -> int:
        """In how many settings that matter the two differ."""
        return len({path for path, value in self.values().items() if other.all_values()[path] != value})

    def all_values(self) -> dict[str, Any]:
        """Every setting: path -> value."""
        return {path: getattr(self, name) for name, path in PATHS.items()}

    def values(self) -> dict[str, Any]:
        """The settings that matter: path -> value."""
        idle = {"normalisation", "alpha"} if self.kind == "rrf" else {"weights"}
        if self.kind == "linear" and not (self.rerank and self.blend == "rrf"):
            idle.add("rank_constant")
        if not self.rerank:
            idle |= {"model", "blend", "blend_alpha"}  # the window stays: it must fit the depth
        elif self.blend == "rerank":
            idle.add("blend_alpha")
        return {path: getattr(self, name) for name, path in PATHS.items() if name not in idle}


PATHS: Mapping[str, str] = {
    "depth": "search.depth",
    "kind": "search.fusion.kind",
    "rank_constant": "search.fusion.rank_constant",
    "weights": "search.fusion.weights",
    "normalisation": "search.fusion.normalisation",
    "alpha": "search.fusion.alpha",
    "rerank": "rerank.enabled",
    "model": "rerank.model",
    "window": "rerank.window",
    "blend": "rerank.blend",
    "blend_alpha": "rerank.blend_alpha",
}
assert [field.name for field in fields(Choice)] == list(PATHS)


def read_choice(settings: Settings) -> Choice:
    """What the settings have."""
    return Choice(**{name: value_at(settings, path) for name, path in PATHS.items()})


def with_choice(settings: Settings, choice: Choice) -> Settings:
    """The settings with a choice in them."""
    fusion = settings.search.fusion.model_copy(
        update={name: getattr(choice, name) for name in ("kind", "rank_constant", "weights", "normalisation", "alpha")}
    )
    rerank = settings.rerank.model_copy(
        update={name: getattr(choice, name) for name in ("model", "window", "blend", "blend_alpha")}
        | {"enabled": choice.rerank}
    )
    search = settings.search.model_copy(update={"depth": choice.depth, "fusion": fusion})
    return settings.model_copy(update={"search": search, "rerank": rerank})


def describe(choice: Choice) -> str:
    """A choice in one line: `rrf 60, weights 1:1, depth 100; window 50, linear 0.3`."""
    if choice.kind == "rrf":
        fusion = f"rrf {choice.rank_constant}, lexical:dense {choice.weights[0]:g}:{choice.weights[1]:g}"
    else:
        fusion = f"linear {choice.normalisation}, dense share {choice.alpha:g}"
    if not choice.rerank:
        return f"{fusion}, depth {choice.depth}; no rerank"
    share = "" if choice.blend == "rerank" else f" {choice.blend_alpha:g}"
    return f"{fusion}, depth {choice.depth}; window {choice.window}, blend {choice.blend}{share}"
