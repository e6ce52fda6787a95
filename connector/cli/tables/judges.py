"""What each kind of judge makes of the pipelines, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text


def judges_table(figures: Mapping[str, Any]) -> Table:
    """One row a kind of judge: the first measure of each pipeline, with its gain over the baseline; bold where that is
    more than chance gives."""
    judges, baseline = figures["judges"], figures["baseline"]
    table = Table(
        title=f"{figures['measures'][0]} by who judged",
        title_justify="left",
        show_edge=False,
    )
    table.add_column("judged by", no_wrap=True)
    for column in ("queries", "grades"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in figures["pipelines"]:
        table.add_column(Text(name), justify="right")
    for kind, judge in judges["by_kind"].items():
        cells = [_cell(name, judge, is_baseline=name == baseline) for name in figures["pipelines"]]
        table.add_row(kind, str(judge["queries"]), str(judge["grades"]), *cells)
    return table


def _cell(name: str, judge: Mapping[str, Any], *, is_baseline: bool) -> Text:
    mean = f"{judge['means'][name]:.3f}"
    if is_baseline:
        return Text(mean)
    gain = f"{judge['comparisons'][name]['difference']:+.3f}"
    return Text.assemble(mean, " ", (gain, "" if judge["conclusions"][name] == "chance" else "bold"))
