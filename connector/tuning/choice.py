"""What can be chosen: the settings of fusion, depth and rerank, as one value that can be compared, applied and
written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from connector.settings.load import value_at
from connector.settings.sections import FusionKind, Normalisation, Settings

Weights = tuple[float, float, float, float]  # of the final order: fused, lexical, dense, rerank


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
    fused_weight: float
    lexical_weight: float
    dense_weight: float
    rerank_weight: float

    @property
    def cost(self) -> tuple[int, int]:
        """What a search has to do for it, for the order of equals: documents reranked, documents that a leg fetches."""
        return (self.window if self.rerank else 0, self.depth)

    @property
    def blend(self) -> Weights:
        """What each signal counts in the final order."""
        return (self.fused_weight, self.lexical_weight, self.dense_weight, self.rerank_weight)

    def changes(self, other: Choice) -> int:
        """In how many settings that matter the two differ."""
        return len({path for path, value in self.values().items() if other.all_values()[path] != value})

    def all_values(self) -> dict[str, Any]:
        """Every setting: path -> value."""
        return {path: getattr(self, name) for name, path in PATHS.items()}

    def values(self) -> dict[str, Any]:
        """The settings that matter: path -> value."""
        idle = {"normalisation", "alpha"} if self.kind == "rrf" else {"weights", "rank_constant"}
        if not self.rerank:
            idle |= {"model", *BLEND}  # the window stays: it must fit the depth
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
    "fused_weight": "rerank.weights.fused",
    "lexical_weight": "rerank.weights.lexical",
    "dense_weight": "rerank.weights.dense",
    "rerank_weight": "rerank.weights.rerank",
}
BLEND = tuple(name for name, path in PATHS.items() if path.startswith("rerank.weights."))
assert [field.name for field in fields(Choice)] == list(PATHS)


def read_choice(settings: Settings) -> Choice:
    """What the settings have."""
    return Choice(**{name: value_at(settings, path) for name, path in PATHS.items()})


def with_blend(choice: Choice, weights: Weights) -> Choice:
    """The choice with other weights of the final order."""
    fused, lexical, dense, rerank = weights
    return replace(choice, fused_weight=fused, lexical_weight=lexical, dense_weight=dense, rerank_weight=rerank)


def with_choice(settings: Settings, choice: Choice) -> Settings:
    """The settings with a choice in them."""
    fusion = settings.search.fusion.model_copy(
        update={name: getattr(choice, name) for name in ("kind", "rank_constant", "weights", "normalisation", "alpha")}
    )
    weights = settings.rerank.weights.model_copy(
        update={PATHS[name].rsplit(".", 1)[-1]: getattr(choice, name) for name in BLEND}
    )
    rerank = settings.rerank.model_copy(
        update={"enabled": choice.rerank, "model": choice.model, "window": choice.window, "weights": weights}
    )
    search = settings.search.model_copy(update={"depth": choice.depth, "fusion": fusion})
    return settings.model_copy(update={"search": search, "rerank": rerank})


def describe(choice: Choice) -> str:
    """A choice in one line: `rrf 60, weights 1:1, depth 100; window 50, blend 0.4:0.1:0.1:0.4`."""
    if choice.kind == "rrf":
        fusion = f"rrf {choice.rank_constant}, lexical:dense {choice.weights[0]:g}:{choice.weights[1]:g}"
    else:
        fusion = f"linear {choice.normalisation}, dense share {choice.alpha:g}"
    if not choice.rerank:
        return f"{fusion}, depth {choice.depth}; no rerank"
    return f"{fusion}, depth {choice.depth}; window {choice.window}, blend {blend_in_words(choice)}"


def blend_in_words(choice: Choice) -> str:
    """The weights of the final order: `0.4:0.1:0.1:0.4`, of the fused, lexical, dense and rerank scores."""
    return ":".join(f"{weight:g}" for weight in choice.blend)
