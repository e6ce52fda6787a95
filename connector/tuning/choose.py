"""Figures of many choices -> the one to take: the best without a reranker, unless one gains more than chance may give.

The rule. Without a reranker, and with each, settings are improved group by group from the current ones until nothing is
better; figures that agree to four decimals are equal, and of equals the cheaper is better, then the one nearer to the
current settings. Of all that was seen on the way the best is taken, or else the cheapest whose figure is within noise
of it: no more than a standard error of the difference below it, query by query, and no more than NOISE.

The best of hundreds of settings looks good by chance alone, so what a reranker gains over the best search without one
is cross-validated: both are chosen on four fifths of the queries and measured on the last one, each fifth in turn. A
reranker is taken only where that gain is more than two standard errors. Other weights of the final order are taken by
the same rule: where they gain as much, cross-validated, over the same search with the current weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from connector.evaluation.statistics.significance import ROUNDING, standard_error
from connector.tuning.choice import Choice
from connector.tuning.offline import OfflineFigures
from connector.tuning.space import Space
from connector.tuning.timing import Budget

MUST_GAIN = 2.0  # standard errors; at one, a model of random weights passed on fifteen queries
FOLDS = 5
DIGITS = 4  # of figures that are told apart
NOISE = 0.005  # of the measure: what a cheaper search may lose at most


@dataclass(frozen=True, slots=True)
class Difference:
    """A choice against another, over the same queries: the mean difference and its standard error."""

    mean: float
    standard_error: float

    @property
    def convinces(self) -> bool:
        return self.mean > MUST_GAIN * self.standard_error

    @property
    def is_noise(self) -> bool:
        """Whether the choice is as good as the other one, for all that can be known."""
        return -self.mean <= min(self.standard_error, NOISE) + ROUNDING


@dataclass(frozen=True, slots=True)
class Trial:
    """A reranker's best choice with its figure, and its cross-validated gain over the best without one, with its
    standard error. `alone`: the best figure of its own order, without the first stage's say. `weights`: what other
    weights of the final order than the current ones gain, cross-validated."""

    model: str | None
    name: str
    best: Choice
    figure: float
    gain: float
    standard_error: float
    alone: float | None
    weights: Difference

    @property
    def convinces(self) -> bool:
        return self.gain > MUST_GAIN * self.standard_error


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to take; the best without a reranker; what was tried of each. `within_budget`: whether anything keeps to it.

    `dearer`: the choice with a higher figure that was passed over, because its lead is within noise and it costs
    more."""

    choice: Choice
    without: Choice
    trials: tuple[Trial, ...]
    within_budget: bool = True
    dearer: Choice | None = None

    def takes(self, trial: Trial) -> bool:
        """Whether it is that reranker that was taken."""
        return self.choice == trial.best


def choose(
    figures: OfflineFigures,
    current: Choice,
    space: Space,
    models: Sequence[tuple[str | None, str]],
    *,
    budget: Budget = Budget(None),
    on_step: Callable[[], None] = lambda: None,
) -> Chosen:
    """The choice by the rule. `models` are the rerankers as the settings have them, and as they are called."""
    search = _Descent(figures, current, space, budget)
    folds = [figures.query_ids[fold::FOLDS] for fold in range(FOLDS)]
    search.without(figures.query_ids)
    baselines = [search.without(_rest(figures.query_ids, fold)) for fold in folds]
    without = search.cheapest(search.seen(rerank=False))
    on_step()
    trials = []
    for model, name in models:
        trials.append(_try(search, model, name, without, list(zip(folds, baselines, strict=True))))
        on_step()
    convincing = [trial for trial in trials if trial.convinces and budget.allows(trial.best)]
    winner = max(convincing, key=lambda trial: trial.figure, default=None)
    choice = winner.best if winner else without
    return Chosen(
        choice,
        without,
        tuple(trials),
        within_budget=budget.allows(choice),
        dearer=(search.keeping_weights() if choice.blend == current.blend else search).dearer(choice),
    )


def difference(figures: OfflineFigures, choice: Choice, other: Choice) -> Difference:
    """What a choice gains over another, which is below 0 where it loses."""
    return _mean_of(_gains(figures, choice, other, figures.query_ids))


def _gains(figures: OfflineFigures, choice: Choice, other: Choice, query_ids: Sequence[str]) -> list[float]:
    values, others = figures.values(choice), figures.values(other)
    return [values[query_id] - others[query_id] for query_id in query_ids]


def _mean_of(gains: Sequence[float]) -> Difference:
    return Difference(float(np.mean(gains)), standard_error(np.array(gains)))


@dataclass(frozen=True, slots=True)
class _Descent:
    """Looks for the choice that no group of the space makes better, and among all that it saw for one as good."""

    figures: OfflineFigures
    current: Choice
    space: Space
    budget: Budget

    def keeping_weights(self) -> _Descent:
        """The same search, which leaves the weights of the final order as they are."""
        return replace(self, space=replace(self.space, blends=()))

    def without(self, query_ids: Sequence[str]) -> Choice:
        """The best that reranks nothing, by those queries."""
        return self._descend([replace(self.current, rerank=False)], query_ids)

    def reranking(self, model: str | None, without: Choice, query_ids: Sequence[str]) -> Choice:
        """The best with a model, by those queries, from the current settings or the best without: whichever is the
        better start."""
        starts = [replace(choice, rerank=True, model=model) for choice in (self.current, without)]
        return self._descend([_fitting(choice, self.space) for choice in starts], query_ids)

    def seen(self, *, rerank: bool, model: str | None = None) -> list[Choice]:
        """All of the space that was worked out so far, with that model, or with none. What the search for a fold came
        upon is there too: the way for all queries may have missed it."""
        return [
            choice
            for choice in self.figures.known()
            if choice.rerank == rerank
            and (not rerank or (choice.model == model and choice.blend in (self.current.blend, *self.space.blends)))
        ]

    def cheapest(self, choices: Iterable[Choice]) -> Choice:
        """The best of the choices, or a cheaper one within noise of it, over all queries."""
        choices = sorted(choices, key=self._rank)
        best = choices[0]
        kept = self.budget.broken(best)
        as_good = [
            choice
            for choice in choices
            if self.budget.broken(choice) == kept
            and (choice == best or self.figures.cost(choice) < self.figures.cost(best))
            and difference(self.figures, choice, best).is_noise
        ]
        return min(as_good, key=lambda choice: (self.figures.cost(choice), self._rank(choice)))

    def dearer(self, choice: Choice) -> Choice | None:
        """The best of its kind, where that is another one with a higher figure."""
        best = min(self.seen(rerank=choice.rerank, model=choice.model), key=self._rank)
        return best if best != choice and self.figures.mean(best) > self.figures.mean(choice) else None

    def _rank(self, choice: Choice, query_ids: Sequence[str] = ()) -> tuple[float, ...]:
        figure = round(self.figures.mean(choice, query_ids), DIGITS)
        return (self.budget.broken(choice), -figure, *self.figures.cost(choice), choice.changes(self.current))

    def _descend(self, starts: Sequence[Choice], query_ids: Sequence[str]) -> Choice:
        def rank(choice: Choice) -> tuple[float, ...]:
            return self._rank(choice, query_ids)

        best = min(starts, key=rank)
        count = len(list(self.space.groups(best)))
        while True:
            before = best
            for position in range(count):
                group = next(islice(self.space.groups(best), position, None))
                best = min((best, *group), key=rank)
            if best == before:
                return best


def _rest(query_ids: Sequence[str], part: Sequence[str]) -> list[str]:
    left_out = set(part)
    return [query_id for query_id in query_ids if query_id not in left_out]


def _fitting(choice: Choice, space: Space) -> Choice:
    """The choice with a window of the space, and legs deep enough for it."""
    window = max((size for size in space.windows if size <= choice.window), default=space.windows[0])
    depth = min(depth for depth in space.depths if depth >= choice.depth and space.reach(depth) >= window)
    return replace(choice, depth=depth, window=window)


def _try(
    search: _Descent,
    model: str | None,
    name: str,
    without: Choice,
    folds: Sequence[tuple[Sequence[str], Choice]],
) -> Trial:
    """What a reranker is worth, with the current weights of the final order or with others, if these gain enough.

    `folds`: some of the queries each, with the best without a reranker by all the others."""
    figures, keeping = search.figures, search.keeping_weights()
    gains: dict[bool, list[float]] = {True: [], False: []}  # by whether the weights are free
    for fold, baseline in folds:
        for way in (search, keeping):
            chosen = way.reranking(model, baseline, _rest(figures.query_ids, fold))
            gains[way is search] += _gains(figures, chosen, baseline, fold)
    weights = _mean_of(np.subtract(gains[True], gains[False]).tolist())
    way = search if weights.convinces else keeping
    for descent in (search, keeping):
        descent.reranking(model, without, figures.query_ids)
    best, gain = way.cheapest(way.seen(rerank=True, model=model)), _mean_of(gains[weights.convinces])
    own = [
        choice
        for choice in figures.known()
        if choice.rerank and choice.model == model and choice.blend and not any(choice.blend[:-1])
    ]
    return Trial(
        model=model,
        name=name,
        best=best,
        figure=figures.mean(best),
        gain=gain.mean,
        standard_error=gain.standard_error,
        alone=max(map(figures.mean, own), default=None),
        weights=weights,
    )
