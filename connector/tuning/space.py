"""The grid that choices are taken from, in groups that are tried one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from connector.errors import SettingsError
from connector.settings.search import Normalisation, WhenSettings
from connector.settings.sections import Settings
from connector.tuning.choice import Choice, RuleBounds, Weights, read_choice
from connector.tuning.goal import DEPTHS, WINDOWS

RANK_CONSTANTS = (5, 10, 20, 60, 100)
DENSE_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # 0 and 1, a leg alone, are tried once
NORMALISATIONS: tuple[Normalisation, ...] = ("minmax", "zscore")
RERANK_SHARES = (0.2, 0.4, 0.6, 0.8)  # of the final order; 1, the reranker alone, is tried once
GAPS = (0.02, 0.05, 0.1, 0.2, 0.5)  # of gap_below
AGREED_SHARES = (0.3, 0.5, 0.7, 0.9)  # of k, of agree_below
BEFORE_SHARES = (2 / 3, 1 / 3, 0.0)  # of what the reranker leaves; all legs get as much of the rest


@dataclass(frozen=True, slots=True)
class Space:
    """The depths and windows to try, those of the current settings among them, the weights of the legs, and the weights
    of the final order beside the current ones; `k` is what callers get, which a window must hold.

    Weights of None are those that the kind of the reranker has by default.
    Of the legs, `free` have no depth of their own; the others find `fixed` documents at most, all together."""

    depths: tuple[int, ...]
    windows: tuple[int, ...]
    k: int
    leg_weights: tuple[Weights, ...]
    blends: tuple[Weights | None, ...]
    bounds: tuple[tuple[RuleBounds, ...], ...]  # of each stage
    free: int
    fixed: int

    def reach(self, depth: int) -> int:
        """How many documents the legs find at most."""
        return self.fixed + self.free * depth

    def groups(self, choice: Choice) -> Iterator[tuple[Choice, ...]]:
        """The choices that differ from this one in rerank, in bounds of rules, in fusion, in depth: a group each."""
        if choice.rerank:
            yield tuple(self.reranks(choice))
            yield tuple(self.ruled(choice))
        yield tuple(self.fusions(choice))
        yield tuple(self.at_depth(choice, depth) for depth in self.depths if self.fits(choice, depth))

    def reranks(self, choice: Choice) -> Iterator[Choice]:
        """Every window that fits the depth, with all weights of the final order."""
        for window in self.windows:
            if window > self.reach(choice.depth):
                continue
            windowed = replace(choice, window=window)
            yield windowed
            yield from (replace(windowed, blend=weights) for weights in self.blends)

    def ruled(self, choice: Choice) -> Iterator[Choice]:
        """Every bound of the rules that stages have, one stage at a time."""
        yield choice
        for position, bounds in enumerate(self.bounds[: len(choice.bounds)]):
            for own in bounds:
                yield replace(choice, bounds=(*choice.bounds[:position], own, *choice.bounds[position + 1 :]))

    def fusions(self, choice: Choice) -> Iterator[Choice]:
        """Every fusion of the legs."""
        yield choice
        rrf = replace(choice, kind="rrf")
        alone = [weights for weights in self.leg_weights if sum(map(bool, weights)) == 1]
        shared = [weights for weights in self.leg_weights if weights not in alone] or alone
        yield from (replace(rrf, weights=weights) for weights in alone)
        for constant in RANK_CONSTANTS:
            yield from (replace(rrf, rank_constant=constant, weights=weights) for weights in shared)
        for normalisation in NORMALISATIONS:
            linear = replace(choice, kind="linear", normalisation=normalisation)
            yield from (replace(linear, weights=weights) for weights in shared)

    def fits(self, choice: Choice, depth: int) -> bool:
        """Whether legs of that depth fill the window, or, where nothing is reranked, what callers get."""
        return (choice.window if choice.rerank else self.k) <= self.reach(depth)

    def at_depth(self, choice: Choice, depth: int) -> Choice:
        """The choice with another depth; a window that nobody reranks is cut to fit."""
        return replace(choice, depth=depth, window=min(choice.window, self.reach(depth)))


def build_space(settings: Settings, *, depths: Sequence[int] = DEPTHS, windows: Sequence[int] = WINDOWS) -> Space:
    """The space around the current settings. Raises SettingsError for sizes that no search can have."""
    for name, sizes, most in (("depth", depths, 10_000), ("window", windows, 20_000)):
        if any(not 1 <= size <= most for size in sizes):
            raise SettingsError(f"a {name} to try must be 1 to {most:,}")
    current, k, legs = read_choice(settings), settings.search.k, settings.search.legs
    own = [leg.depth for leg in legs.values() if leg.depth]
    space = Space(
        (),
        (),
        k,
        tuple(leg_weights(settings)),
        (None, *blends(len(legs))),
        tuple(tuple(rule_bounds(stage.when, k)) for stage in settings.search.rerank),
        len(legs) - len(own),
        sum(own),
    )
    kept = {depth for depth in (*depths, current.depth) if space.reach(depth) >= k}
    fitting = {window for window in (*windows, current.window) if k <= window <= space.reach(max(kept))}
    return replace(space, depths=tuple(sorted(kept)), windows=tuple(sorted(fitting)))


def leg_weights(settings: Settings) -> Iterator[Weights]:
    """Weights of the legs: each alone, and the dense ones with every share of all; legs of a kind keep theirs beside
    each other."""
    legs = settings.search.legs
    count = len(legs)
    for name in legs:
        yield tuple(float(count) if name == other else 0.0 for other in legs)
    totals = {kind: sum(leg.weight for leg in legs.values() if leg.kind == kind) for kind in ("lexical", "dense")}
    if not all(totals.values()):
        yield tuple(leg.weight for leg in legs.values())
        return
    for share in DENSE_SHARES:
        of_kind = {"dense": share, "lexical": 1 - share}
        yield tuple(
            round(count * of_kind[str(leg.kind)] * leg.weight / totals[str(leg.kind)], 4) for leg in legs.values()
        )


def rule_bounds(when: WhenSettings | None, k: int) -> Iterator[RuleBounds]:
    """RuleBounds of the rules that a stage has, and no bound at all; nothing where it has no such rule."""
    if when is None or (when.gap_below is None and when.agree_below is None):
        return
    gaps = (None, *GAPS) if when.gap_below is not None else (None,)
    agreed = {max(round(k * share), 1) for share in AGREED_SHARES}
    yield from itertools.product(gaps, (None, *sorted(agreed)) if when.agree_below is not None else (None,))


def blends(legs: int) -> Iterator[Weights]:
    """Weights of the final order: the reranker's share, and how much of the rest the order before has."""
    yield (0.0, *[0.0] * legs, 1.0)
    for rerank in RERANK_SHARES:
        for share in BEFORE_SHARES:
            before = (1 - rerank) * share
            leg = (1 - rerank - before) / legs
            yield (round(before, 4), *[round(leg, 4)] * legs, rerank)
