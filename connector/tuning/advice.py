"""What the figures advise beyond the settings: against a reranker, against more ranking where documents are not found,
on the budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from connector.evaluation.statistics.measures import mean
from connector.tuning.choice import Choice, blend_in_words, describe
from connector.tuning.choose import MUST_GAIN, Chosen, Trial, difference
from connector.tuning.offline import OfflineFigures
from connector.tuning.timing import Budget

About = Literal["reranker-hurts", "reranker-unproven", "weights", "cheaper", "recall", "budget", "deadline"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to know, and what to do about it."""

    about: About
    text: str


@dataclass(frozen=True, slots=True)
class ChoiceFacts:
    """How much of what is relevant the window holds, the mean; and what the measure would be if the window were ordered
    ideally."""

    window: int
    recall: float
    ceiling: float


def find(figures: OfflineFigures, choice: Choice) -> ChoiceFacts:
    """What the choice's fused ranking has found."""
    recall = f"R@{choice.window}"
    return ChoiceFacts(
        choice.window,
        mean(figures.measure(figures.windows(choice), recall)),
        mean(figures.measure(figures.ideal(choice), figures.measured)),
    )


def advise(
    figures: OfflineFigures, current: Choice, chosen: Chosen, found: ChoiceFacts, budget: Budget, *, min_recall: float
) -> list[Advice]:
    """Everything that is worth saying."""
    return [
        *_configured(figures, current),
        *(advice for trial in chosen.trials for advice in _of_reranker(trial, chosen, figures)),
        *(advice for trial in chosen.trials if chosen.takes(trial) for advice in _of_weights(trial, current)),
        *_of_cheaper(chosen, figures),
        *_of_recall(found, figures.measured, min_recall),
        *_of_budget(chosen, budget),
    ]


def _configured(figures: OfflineFigures, current: Choice) -> Iterator[Advice]:
    """The reranker as it is set now, against the same settings with it turned off."""
    if current.rerank and figures.mean(current) < (plain := figures.mean(replace(current, rerank=False))):
        yield Advice(
            "reranker-hurts",
            f"the reranker as it is configured hurts: {figures.measured} {figures.mean(current):.4f} with it, "
            f"{plain:.4f} without",
        )


def _of_reranker(trial: Trial, chosen: Chosen, figures: OfflineFigures) -> Iterator[Advice]:
    if trial.convinces:
        return
    measured, alone = figures.measured, "" if trial.alone is None else f"; by its own order alone {trial.alone:.4f}"
    gain = (
        f"{trial.gain:+.4f} (standard error {trial.standard_error:.4f}) on queries that its settings were not chosen on"
    )
    seen = f"{measured} {trial.figure:.4f} at its best, {figures.mean(chosen.without):.4f} without it{alone}"
    if trial.gain <= 0:
        yield Advice(
            "reranker-hurts",
            f"do not rerank with {trial.name}: it gains {gain}; {seen}; try another or a fine-tuned model",
        )
    else:
        yield Advice(
            "reranker-unproven",
            f"do not rerank with {trial.name} yet: it gains {gain}, not more than {MUST_GAIN:g} standard errors; "
            f"{seen}; judge more queries to tell",
        )


def _of_weights(trial: Trial, current: Choice) -> Iterator[Advice]:
    """Whether the weights of the final order stay, and what others would gain."""
    gain = f"{trial.weights.mean:+.4f} (standard error {trial.weights.standard_error:.4f})"
    if trial.weights.convinces:
        sentence = f"other weights of the final order were taken, which gain {gain}"
    else:
        own = blend_in_words(current)
        sentence = f"the weights of the final order stay as they are ({own}): others gain {gain}, no more than chance"
    yield Advice("weights", f"{sentence}, on queries that they were not chosen on")


def _of_cheaper(chosen: Chosen, figures: OfflineFigures) -> Iterator[Advice]:
    """Why the highest figure that was seen is not that of the settings that are taken."""
    if chosen.dearer:
        lost = difference(figures, chosen.choice, chosen.dearer)
        yield Advice(
            "cheaper",
            f"{describe(chosen.choice)} was taken, which costs less, though {describe(chosen.dearer)} has a higher "
            f"{figures.measured}: the difference of {-lost.mean:.4f} is within noise (standard error "
            f"{lost.standard_error:.4f})",
        )


def _of_recall(found: ChoiceFacts, measured: str, min_recall: float) -> Iterator[Advice]:
    if found.recall < min_recall:
        yield Advice(
            "recall",
            f"recall, not ranking, is the problem: the {found.window} fused hits hold {found.recall:.0%} of what is "
            f"relevant (bound {min_recall:.0%}), and the best of all rerankers could reach {measured} "
            f"{found.ceiling:.4f} with them; look at search.depth and the window of search.rerank, at index.analyzer "
            "(does it fit the language?), at encoder.model, at passages.max_tokens",
        )


def _of_budget(chosen: Chosen, budget: Budget) -> Iterator[Advice]:
    if not chosen.within_budget:
        fastest = min((timing.took_ms.p95 for timing in budget.timings), default=0.0)
        yield Advice(
            "budget",
            f"no settings keep to {budget.p95_ms:g} ms: the fastest search has a p95 of {fastest:.0f} ms; raise the "
            "budget, look at the cluster, or encode faster (encoder.backend, encoder.url)"
            if budget.p95_ms is not None
            else "no settings keep to search.deadline_s; raise it, or look at the cluster and the worker with: "
            "connector doctor",
        )
    for trial in chosen.trials:
        if chosen.within_budget and trial.convinces and not budget.allows(trial.best):
            yield Advice(
                "budget",
                f"{trial.name} gains {trial.gain:+.4f} (standard error {trial.standard_error:.4f}), but none of its "
                "windows keeps to the budget; see how far a faster worker goes: worker.backend, a GPU",
            )
    late = [timing for timing in budget.timings if timing.late and budget.breaks(timing)]
    if late:
        names = ", ".join(
            f"{timing.name} with window {timing.option.window}" if timing.name else "the legs" for timing in late
        )
        yield Advice(
            "deadline",
            f"{names}: {max(timing.late for timing in late):.0%} of the searches were degraded; "
            "raise search.deadline_s to let them be chosen",
        )
