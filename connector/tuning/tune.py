"""Judged queries + the settings as they are -> settings that were chosen on one half of the queries and tested on the
other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connector.errors import SettingsError, WorkerUnavailable
from connector.evaluation.defaults import CUTOFF
from connector.evaluation.evaluate import Evaluation, Reporter, evaluate
from connector.evaluation.files.datasets import Collection
from connector.evaluation.pipelines import Pipeline, plan_each
from connector.evaluation.searchers import open_searchers
from connector.evaluation.statistics.measures import default_measures
from connector.settings.file import plain_values
from connector.settings.sections import Settings
from connector.tuning.advice import Advice, ChoiceFacts, advise, find
from connector.tuning.choice import Choice, read_choice, values_of, with_choice
from connector.tuning.choose import Chosen, choose
from connector.tuning.collect import DEADLINE_S, CandidateReranker, collect, until_ready
from connector.tuning.goal import TuningGoal
from connector.tuning.offline import OfflineFigures
from connector.tuning.space import Space
from connector.tuning.timing import Budget, take_times
from connector.wiring import open_reranker

YOURS, WITHOUT, TUNED = "yours", "without rerank", "tuned"
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen and why. `figures` are those of the queries it was chosen on, `tested` of the others through the
    real path."""

    train: Collection
    settings: Settings  # as they were
    current: Choice
    chosen: Chosen
    models: tuple[tuple[str | None, str], ...]
    figures: OfflineFigures
    found: ChoiceFacts
    budget: Budget
    advice: tuple[Advice, ...]
    tested: Evaluation

    @property
    def refusals(self) -> list[str]:
        """Why it should not be written."""
        measured = self.tested.measures[0]
        yours, tuned = (self.tested.named(name) for name in (YOURS, TUNED))
        refusals = []
        if tuned.mean(measured) < yours.mean(measured) - SAME:
            refusals.append(
                f"on the test queries the tuned settings are worse than yours: {measured} "
                f"{tuned.mean(measured):.4f}, yours {yours.mean(measured):.4f}"
            )
        if not self.chosen.within_budget:
            refusals.append("nothing keeps to the budget")
        elif self.budget.p95_ms is not None and tuned.latency.p95 > self.budget.p95_ms:
            refusals.append(
                f"on the test queries the tuned settings took {tuned.latency.p95:.0f} ms (p95), more than the "
                f"{self.budget.p95_ms:g} ms of the budget"
            )
        return refusals


async def tune(
    train: Collection,
    test: Collection,
    settings: Settings,
    space: Space,
    goal: TuningGoal,
    *,
    models: Sequence[str] = (),
    reporter: Reporter = Reporter(),
) -> Tuned:
    """Choose on `train`, test on `test`. `models` are the rerankers to try beside the configured one; none: all that
    the worker has, or none at all where search.rerank is off.

    Raises what opening the cluster and searching raise, WorkerError, and SettingsError for a model that the worker does
    not have."""
    current = read_choice(settings)
    offered = await find_models(settings, models)
    async with AsyncExitStack() as stack:
        variants = [_variant(settings, current, rerank=False)]
        variants += [_variant(settings, current, rerank=True, model=model) for model, _ in offered]
        plain, *opened = await stack.enter_async_context(open_searchers(variants))
        await plain.share_found(train)
        candidates = [CandidateReranker(*named, searcher) for named, searcher in zip(offered, opened, strict=True)]
        for candidate in candidates:
            await _load(candidate)
        material = await collect(train.queries, plain, candidates, space, current, reporter=reporter)
        timings = await take_times(
            train.queries, plain, candidates, space, current, count=goal.timed, reporter=reporter
        )
    figures = OfflineFigures(train, material, settings, measured=goal.measured)
    budget = Budget(goal.budget_ms, timings)
    reporter.begin("choosing", 1 + len(offered))
    chosen = choose(figures, current, space, offered, budget=budget, on_step=reporter.done)
    found = find(figures, chosen.choice)
    advice = advise(figures, current, chosen, found, budget, min_recall=goal.min_recall)
    tested = await _test(test, settings, current, chosen, goal.measured, reporter)
    return Tuned(train, settings, current, chosen, tuple(offered), figures, found, budget, tuple(advice), tested)


async def find_models(settings: Settings, names: Sequence[str]) -> list[tuple[str | None, str]]:
    """The rerankers to try: as the model of the stage's reranker, and as they are called. Raises WorkerError,
    SettingsError."""
    if not settings.search.rerank and not names:
        return []
    worker = open_reranker(settings, str(settings.first_stage.reranker))
    try:
        listed = await until_ready(partial(worker.rerankers, timeout_s=DEADLINE_S))
    except WorkerUnavailable as error:
        raise WorkerUnavailable(
            f"{error}; or tune without one: --set search.rerank=off", status=error.status
        ) from error
    finally:
        await worker.close()
    configured = settings.first_reranker.model
    if unknown := [name for name in names if listed and _short(name) not in map(_short, listed)]:
        raise SettingsError(
            f"the worker has no reranker {unknown[0]!r}, but {', '.join(listed)}; add it in worker.models"
        )
    first = configured or next(iter(listed), "the worker's model")
    mine = [(configured, first)] if settings.search.rerank else []
    others = [name for name in names or listed if _short(name) != _short(first)]
    tried = mine or [(None if configured is None else name, name) for name in names if _short(name) == _short(first)]
    return [*tried, *((name, name) for name in others)]


async def _load(candidate: CandidateReranker) -> None:
    """Wait until the worker has the model, and send one search through it."""
    await until_ready(partial(candidate.opened.reranker().info, timeout_s=DEADLINE_S))
    await candidate.opened.warm_up(rerank=True)


async def _test(
    test: Collection, settings: Settings, current: Choice, chosen: Chosen, measured: str, reporter: Reporter
) -> Evaluation:
    """Your settings, the best without a reranker and the tuned ones on the queries that nothing was chosen on."""
    choices = {YOURS: current, WITHOUT: chosen.without, TUNED: chosen.choice}
    searches = plan_each(
        (Pipeline(name, overrides=plain_values(values_of(settings, choice))), with_choice(settings, choice))
        for name, choice in choices.items()
    )
    measures = tuple(dict.fromkeys((measured, *default_measures(CUTOFF))))
    return await evaluate(test, searches, measures=measures, k=CUTOFF, reporter=reporter)


def _variant(settings: Settings, current: Choice, **values: Any) -> Settings:
    return with_choice(settings, replace(current, **values))


def _short(name: str) -> str:
    """A name as a worker compares it."""
    return name.rstrip("/").rsplit("/", 1)[-1]
