"""A tuning on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from connector.cli.console import results
from connector.cli.tables.evaluation import print_summary
from connector.settings.file import plain_value, to_text
from connector.tuning.choice import Choice, describe
from connector.tuning.choose import NOISE, difference
from connector.tuning.timing import Option, Timing
from connector.tuning.tune import TUNED, YOURS, Tuned


def print_tuning(tuned: Tuned, values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """What was tried, what was chosen, how that did on the other queries, what to write, and the advice."""
    console = results()
    for table in (_tried(tuned), _times(tuned)):
        console.print(table)
        console.print()
    print_summary(tuned.tested)
    console.print(_both_sides(tuned))
    console.print()
    if values:
        console.print(_changes(values, before))
        console.print()
    for advice in tuned.advice:
        console.print(Text(f"{advice.about}: {advice.text}", "yellow"), soft_wrap=True)


def _tried(tuned: Tuned) -> Table:
    """Your settings, the best without a reranker, and the best of each reranker, on the queries to choose on."""
    figures, chosen = tuned.figures, tuned.chosen
    title = (
        f"chosen on {len(tuned.train.queries)} queries of {tuned.train.name}, out of {len(figures.known())} settings"
    )
    table = _table(title, "settings", ("", "left"), figures.measured, "gain", "std. error", "taken")
    table.add_row(YOURS, describe(tuned.current), f"{figures.mean(tuned.current):.4f}", "", "", "")
    taken = "yes" if chosen.choice == chosen.without else "no"
    table.add_row("without rerank", describe(chosen.without), f"{figures.mean(chosen.without):.4f}", "", "", taken)
    for trial in chosen.trials:
        numbers = (f"{trial.figure:.4f}", f"{trial.gain:+.4f}", f"{trial.standard_error:.4f}")
        table.add_row(Text(trial.name), describe(trial.best), *numbers, "yes" if chosen.takes(trial) else "no")
    table.caption, table.caption_justify = (
        "gain: over the best without rerank, cross-validated; a reranker is taken where it is above 2 standard errors",
        "left",
    )
    return table


def _times(tuned: Tuned) -> Table:
    """Each option with the best figure that was seen with it, and its times."""
    limit = "" if tuned.budget.p95_ms is None else f"; the budget is {tuned.budget.p95_ms:g} ms"
    title = f"milliseconds to an answer, measured on the real path{limit}"
    table = _table(
        title,
        "reranker",
        "window",
        "depth",
        f"best {tuned.figures.measured}",
        "- taken",
        "std. error",
        "p50",
        "p95",
        "allowed",
    )
    for timing in tuned.budget.timings:
        best = _best(tuned, _concerned(timing.option))
        table.add_row(
            Text(timing.name or "none"),
            str(timing.option.window or "–"),
            str(timing.option.depth),
            *_figures(tuned, best),
            f"{timing.took_ms.p50:.1f}",
            f"{timing.took_ms.p95:.1f}",
            _allowed(timing, tuned),
        )
    table.caption, table.caption_justify = (
        "- taken: what the best settings of that row gain over those that were taken; a cheaper search is taken where "
        f"it loses no more than a standard error, and no more than {NOISE:g}",
        "left",
    )
    return table


def _concerned(option: Option) -> Callable[[Choice], bool]:
    if not option.window:
        return lambda choice: not choice.rerank and choice.depth == option.depth
    return lambda choice: choice.rerank and (choice.model, choice.window) == (option.model, option.window)


def _best(tuned: Tuned, concerned: Callable[[Choice], bool]) -> Choice | None:
    """Of what could have been taken: other weights of the final order only where they proved their gain."""
    proven = {trial.model for trial in tuned.chosen.trials if trial.weights.convinces}
    known = (
        choice
        for choice in tuned.figures.known()
        if not choice.rerank or choice.model in proven or choice.blend == tuned.current.blend
    )
    return max(filter(concerned, known), key=tuned.figures.mean, default=None)


def _figures(tuned: Tuned, best: Choice | None) -> tuple[str, str, str]:
    """Of the best settings of a row: their figure, and what they gain over the settings that were taken."""
    if best is None:
        return ("–", "", "")
    figure = f"{tuned.figures.mean(best):.4f}"
    taken = tuned.chosen.choice
    if best == taken:
        return (figure, "taken", "")
    against = difference(tuned.figures, best, taken)
    return (figure, f"{against.mean:+.4f}", f"{against.standard_error:.4f}")


def _allowed(timing: Timing, tuned: Tuned) -> str:
    if tuned.budget.breaks(timing):
        return "no"
    return "yes"


def _both_sides(tuned: Tuned) -> Table:
    """Where the gain on the queries to choose on is much larger than that on the others, the settings fit the former
    too well."""
    figures, measured = tuned.figures, tuned.tested.measures[0]
    table = _table(f"{measured} on the queries it was chosen on, and on the others", "settings", "chosen on", "test")
    for name, choice in ((YOURS, tuned.current), (TUNED, tuned.chosen.choice)):
        table.add_row(name, f"{figures.mean(choice):.4f}", f"{tuned.tested.named(name).mean(measured):.4f}")
    return table


def _changes(values: Mapping[str, Any], before: Mapping[str, Any]) -> Table:
    table = _table("settings", "setting", ("before", "left"), ("tuned", "left"))
    for path, value in values.items():
        table.add_row(path, Text(_yaml(before.get(path))), Text(_yaml(value), "bold"))
    return table


def _yaml(value: Any) -> str:
    return to_text(plain_value(value))


def _table(title: str, first: str, *columns: str | tuple[str, Literal["left"]]) -> Table:
    """Numbers to the right, but for columns that say otherwise."""
    table = Table(title=Text(title, style="bold"), title_justify="left", show_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        if isinstance(column, tuple):
            table.add_column(column[0], justify=column[1])
        else:
            table.add_column(column, justify="right")
    return table
