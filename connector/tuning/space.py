"""The grid that choices are taken from, in groups that are tried one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from connector.errors import SettingsError
from connector.settings.sections import Normalisation
from connector.tuning.choice import Choice, Weights, with_blend
from connector.tuning.goal import DEPTHS, WINDOWS

RANK_CONSTANTS = (5, 10, 20, 60, 100)
DENSE_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # 0 and 1, a leg alone, are tried once
NORMALISATIONS: tuple[Normalisation, ...] = ("minmax", "zscore")
RERANK_SHARES = (0.2, 0.4, 0.6, 0.8)  # of the final order; 1, the reranker alone, is tried once
FUSED_SHARES = (1.0, 2 / 3, 0.0)  # of what the reranker leaves; both legs get as much of the rest


@dataclass(frozen=True, slots=True)
class Space:
    """The depths and windows to try, those of the current settings among them, and the weights of the final order
    beside the current ones; `k` is what callers get, which a window must hold."""

    depths: tuple[int, ...]
    windows: tuple[int, ...]
    k: int
    blends: tuple[Weights, ...] = ()

    def groups(self, choice: Choice) -> Iterator[tuple[Choice, ...]]:
        """The choices that differ from this one in rerank, in fusion, in depth: a group each."""
        if choice.rerank:
            yield tuple(self.reranks(choice))
        yield tuple(fusions(choice))
        yield tuple(self.at_depth(choice, depth) for depth in self.depths if self.fits(choice, depth))

    def reranks(self, choice: Choice) -> Iterator[Choice]:
        """Every window that fits the depth, with all weights of the final order."""
        for window in self.windows:
            if window > 2 * choice.depth:
                continue
            windowed = replace(choice, window=window)
            yield windowed
            yield from (with_blend(windowed, weights) for weights in self.blends)

    def fits(self, choice: Choice, depth: int) -> bool:
        """Whether legs of that depth fill the window, or, where nothing is reranked, what callers get."""
        return (choice.window if choice.rerank else self.k) <= 2 * depth

    def at_depth(self, choice: Choice, depth: int) -> Choice:
        """The choice with another depth; a window that nobody reranks is cut to fit."""
        return replace(choice, depth=depth, window=min(choice.window, 2 * depth))


def build_space(current: Choice, *, k: int, depths: Sequence[int] = DEPTHS, windows: Sequence[int] = WINDOWS) -> Space:
    """The space around the current settings. Raises SettingsError for sizes that no search can have."""
    for name, sizes, most in (("depth", depths, 10_000), ("window", windows, 20_000)):
        if any(not 1 <= size <= most for size in sizes):
            raise SettingsError(f"a {name} to try must be 1 to {most:,}")
    kept = {depth for depth in (*depths, current.depth) if 2 * depth >= k}
    fitting = {window for window in (*windows, current.window) if k <= window <= 2 * max(kept)}
    return Space(tuple(sorted(kept)), tuple(sorted(fitting)), k, tuple(blends()))


def blends() -> Iterator[Weights]:
    """Weights of the final order: the reranker's share, and how much of the rest the fused score has."""
    yield (0.0, 0.0, 0.0, 1.0)
    for rerank in RERANK_SHARES:
        for share in FUSED_SHARES:
            fused = (1 - rerank) * share
            leg = (1 - rerank - fused) / 2
            yield (round(fused, 4), round(leg, 4), round(leg, 4), rerank)


def fusions(choice: Choice) -> Iterator[Choice]:
    """Every fusion of the legs."""
    yield choice
    rrf = replace(choice, kind="rrf")
    yield from (replace(rrf, weights=weights) for weights in ((2.0, 0.0), (0.0, 2.0)))
    for constant in RANK_CONSTANTS:
        for share in DENSE_SHARES:
            yield replace(rrf, rank_constant=constant, weights=(round(2 - 2 * share, 4), round(2 * share, 4)))
    for normalisation in NORMALISATIONS:
        for share in DENSE_SHARES:
            yield replace(choice, kind="linear", normalisation=normalisation, alpha=share)
