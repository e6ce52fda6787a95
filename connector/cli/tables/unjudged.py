"""What documents that nobody judged could change, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from connector.cli.console import say
from connector.evaluation.gate import Verdict


def print_warnings(figures: Mapping[str, Any]) -> None:
    """Which conclusions depend on unjudged documents."""
    for warning in figures["unjudged"]["warnings"]:
        say(warning)


def print_doubts(verdicts: Sequence[Verdict]) -> None:
    """Which bounds of a gate would hold with other grades for unjudged documents."""
    for verdict in verdicts:
        if verdict.depends_on_unjudged:
            say(
                f"{verdict.pipeline}: that {verdict.figure} fell depends on documents that nobody judged: with the "
                f"best grades for them it is {verdict.possible:.4f}; connector judge pool chooses which to judge"
            )


def unjudged_table(figures: Mapping[str, Any]) -> Table:
    """One row a pipeline: the first measure by condensed lists and its bounds, and those of the difference."""
    found, measured = figures["unjudged"], figures["measures"][0]
    table = Table(
        title=f"{measured} and what nobody judged",
        title_justify="left",
        show_edge=False,
        caption="condensed: without what is not judged; infAP: AP inferred from what is;\n"
        f"bounds: any grades from 0 to {found['highest_grade']} for it; gain: condensed, against {figures['baseline']}",
        caption_justify="left",
    )
    table.add_column("pipeline", overflow="fold")
    for column in ("judged", "condensed", "infAP", "bounds", "gain", "its bounds"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, pipeline in found["pipelines"].items():
        compared = found["comparisons"].get(name, {})
        table.add_row(
            Text(name),
            f"{pipeline['judged_share']:.3f}",
            f"{pipeline['condensed'][measured]:.3f}" if measured in pipeline["condensed"] else "–",
            f"{pipeline['inferred_ap']:.3f}",
            interval(pipeline["bounds"].get(measured)),
            f"{compared['condensed']['difference']:+.3f}" if compared else "–",
            Text(interval(compared.get("bounds"), signed=True), "yellow" if compared.get("depends") else ""),
        )
    return table


def interval(bounds: Mapping[str, float] | None, *, signed: bool = False) -> str:
    if bounds is None:
        return "–"
    return "…".join(f"{bounds[end]:{'+' if signed else ''}.3f}" for end in ("low", "high"))
