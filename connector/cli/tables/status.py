"""How far a judging folder is, on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from connector.cli.console import results
from connector.judging.next_step import advise
from connector.judging.status import FolderStatus, JudgeWork, RunPower
from connector.judging.trust.judges import Trust, unknown, verdict


def print_status(status: FolderStatus, trust: Trust) -> None:
    """Tables of what there is, how far the judges agree, and at the end what to do next."""
    console = results()
    console.print(_so_far(status), highlight=False)
    for table, is_empty in (
        (_runs(status), not status.runs),
        (_work(status), not status.work),
        (_powers(status), not status.powers),
    ):
        if not is_empty:
            console.print()
            console.print(table)
    for sentence in (*map(verdict, trust.comparisons), *unknown(trust.unmeasured)):
        console.print()
        console.print(sentence, highlight=False, soft_wrap=True)
    console.print()
    console.print(Text(f"next: {advise(status)}"), highlight=False, soft_wrap=True)


def _so_far(status: FolderStatus) -> str:
    text = (
        f"{status.folder}: {status.judged_queries:,} of {status.queries:,} queries and {status.judged_pairs:,} of "
        f"{status.pairs:,} pairs are judged"
    )
    if status.seconds_per_grade is not None and status.missing_pairs:
        hours = status.missing_pairs * status.seconds_per_grade / 3600
        text += f"; the rest takes people {hours:.1f} hours at {status.seconds_per_grade:.0f} s a grade"
    if status.open_disagreements:
        text += f"; {status.open_disagreements} disagreements are open"
    return text


def _runs(status: FolderStatus) -> Table:
    table = _table(
        "what is judged of the pooled pipelines", "pipeline", (f"judged@{status.k}", "by people", "unjudged")
    )
    for run in status.runs:
        table.add_row(Text(run.name), f"{run.judged_share:.3f}", f"{run.by_people:.3f}", f"{run.unjudged:,}")
    return table


def _work(status: FolderStatus) -> Table:
    grades = sorted({grade for work in status.work for grade in work.grades})
    table = _table("who judged", "judge", ("kind", "graded", "skipped", *map(str, grades), "s a grade"))
    for work in status.work:
        table.add_row(Text(work.by), *_cells(work, grades))
    return table


def _cells(work: JudgeWork, grades: list[int]) -> list[str]:
    pace = "–" if work.seconds is None else f"{work.seconds:.0f}"
    return [work.kind, f"{work.graded:,}", f"{work.skipped:,}", *(f"{work.grades.get(at, 0):,}" for at in grades), pace]


def _powers(status: FolderStatus) -> Table:
    table = _table(
        f"{status.measure} against {status.baseline}: what {status.powers[0].queries:,} queries show"
        if status.powers
        else "",
        "pipeline",
        ("difference", "std. dev.", "smallest", f"queries for {status.wished:g}", "more"),
    )
    table.caption, table.caption_justify = "smallest: what 80 of 100 samples of so many queries show, at p 0.05", "left"
    for power in status.powers:
        table.add_row(Text(power.name), *_figures(power))
    return table


def _figures(power: RunPower) -> list[str]:
    smallest = "–" if power.smallest is None else f"{power.smallest:.4f}"
    more = max(power.needed - power.queries, 0)
    return [f"{power.difference:+.4f}", f"{power.deviation:.4f}", smallest, f"{power.needed:,}", f"{more:,}"]


def _table(title: str, first: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=Text(title), title_justify="left", show_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
