"""Figures of many choices -> the one to take: the best without a reranker, unless one gains more than chance may give.

The rule. Without a reranker, and with each, settings are improved group by group from the current ones until nothing is better;
figures that agree to four decimals are equal, and of equals the cheaper is better, then the one nearer to the current settings.
The best of hundreds of settings looks good by chance alone, so what a reranker gains over the best search without one is
cross-validated: both are chosen on four fifths of the queries and measured on the last one, each fifth in turn. A reranker is
taken only where that gain is more than two standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from connector.evaluation.significance import standard_error
from connector.tuning.choice import Choice
from connector.tuning.offline import Figures
from connector.tuning.space import Space
from connector.tuning.timing import Budget

MUST_GAIN = 2.0  # standard errors; at one, a model of random weights passed on fifteen queries
FOLDS = 5
DIGITS = 4  # of figures that are told apart


@dataclass(frozen=True, slots=True)
class Trial:
    """A reranker's best choice with its figure, and its cross-validated gain over the best without one, with its standard error.
    `alone`: the best figure of its own order, without the first stage's say."""

    model: str | None
    name: str
    best: Choice
    figure: float
    gain: float
    standard_error: float
    alone: float | None

    @property
    def convinces(self) -> bool:
        return self.gain > MUST_GAIN * self.standard_error


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to take; the best without a reranker; what was tried of each. `within_budget`: whether anything keeps to it."""

    choice: Choice
    without: Choice
    trials: tuple[Trial, ...]
    within_budget: bool = True

    def takes(self, trial: Trial) -> bool:
        """Whether it is that reranker that was taken."""
        return self.choice == trial.best


def choose(
    figures: Figures,
    current: Choice,
    space: Space,
    models: Sequence[tuple[str | None, str]],
    *,
    budget: Budget = Budget(None),
    on_step: Callable[[], None] = lambda: None,
) -> Chosen:
    """The choice by the rule. `models` are the rerankers as rerank.model has them, and as they are called."""
    search = _Descent(figures, current, space, budget)
    everything = figures.query_ids
    parts = [everything[fold::FOLDS] for fold in range(FOLDS)]
    without = search.without(everything)
    baselines = [search.without(_rest(everything, part)) for part in parts]
    on_step()
    trials = []
    for model, name in models:
        best = search.reranking(model, without, everything)
        gains: list[float] = []
        for part, baseline in zip(parts, baselines, strict=True):
            other = search.reranking(model, baseline, _rest(everything, part))
            gains += [figures.values(other)[one] - figures.values(baseline)[one] for one in part]
        trials.append(_trial(model, name, best, np.array(gains), figures))
        on_step()
    convincing = [one for one in trials if one.convinces and budget.allows(one.best)]
    winner = max(convincing, key=lambda one: one.figure, default=None)
    choice = winner.best if winner else without
    return Chosen(choice, without, tuple(trials), within_budget=budget.allows(choice))


@dataclass(frozen=True, slots=True)
class _Descent:
    """Looks for the choice that no group of the space makes better."""

    figures: Figures
    current: Choice
    space: Space
    budget: Budget

    def without(self, query_ids: Sequence[str]) -> Choice:
        """The best that reranks nothing, by those queries."""
        return self._descend([replace(self.current, rerank=False)], query_ids)

    def reranking(self, model: str | None, without: Choice, query_ids: Sequence[str]) -> Choice:
        """The best with a model, by those queries, from the current settings or the best without: whichever is the better start."""
        starts = [replace(one, rerank=True, model=model) for one in (self.current, without)]
        return self._descend([_fitting(one, self.space) for one in starts], query_ids)

    def _descend(self, starts: Sequence[Choice], query_ids: Sequence[str]) -> Choice:
        def rank(choice: Choice) -> tuple[float, ...]:
            figure = round(self.figures.mean(choice, query_ids), DIGITS)
            return (self.budget.broken(choice), -figure, *choice.cost, choice.changes(self.current))

        best = min(starts, key=rank)
        while True:
            before = best
            for position in range(len(list(self.space.groups(best)))):
                best = min((best, *list(self.space.groups(best))[position]), key=rank)
            if best == before:
                return best


def _rest(query_ids: Sequence[str], part: Sequence[str]) -> list[str]:
    left_out = set(part)
    return [one for one in query_ids if one not in left_out]


def _fitting(choice: Choice, space: Space) -> Choice:
    """The choice with a window of the space, and legs deep enough for it."""
    window = max((one for one in space.windows if one <= choice.window), default=space.windows[0])
    depth = min(one for one in space.depths if one >= choice.depth and 2 * one >= window)
    return replace(choice, depth=depth, window=window)


def _trial(model: str | None, name: str, best: Choice, gains: NDArray[np.float64], figures: Figures) -> Trial:
    own = [one for one in figures.known() if one.rerank and one.model == model and one.blend == "rerank"]
    return Trial(
        model=model,
        name=name,
        best=best,
        figure=figures.mean(best),
        gain=float(gains.mean()),
        standard_error=standard_error(gains),
        alone=max(map(figures.mean, own), default=None),
    )
