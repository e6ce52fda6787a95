"""What was pooled, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from connector.cli.console import results, say

if TYPE_CHECKING:
    from connector.judging.folder import JudgingFolder
    from connector.judging.pooling.decide import ExpectedDifference
    from connector.judging.pooling.pool import Pool
    from connector.judging.pooling.runs import PipelineRuns


def print_pool(folder: JudgingFolder, found: PipelineRuns, made: Pool) -> None:
    """What each pipeline gave to the pool, what failed, and how many pairs are to be judged."""
    queries = len(folder.queries())
    table = Table("pipeline", show_edge=False)
    for column in ("queries", "pairs of the pool", "only it found"):
        table.add_column(column, justify="right")
    for name, answered, pairs, alone in made.shares(folder.runs()):
        table.add_row(name, f"{answered:,}", f"{pairs:,}", f"{alone:,}")
    results().print(table)
    for name, answered, _, _ in made.shares(folder.runs()):
        if answered < queries:
            say(f"{name} has no ranking for {queries - answered:,} of {queries:,} queries")
    for troubles, words in ((found.failed, "failed"), (found.degraded, "were degraded")):
        for name, reasons in troubles.items():
            if reasons:
                say(f"{name}: {len(reasons):,} queries {words}; first: {next(iter(reasons.values()))}")
    if made.expected:
        _print_expected(made.expected, made.depth)
    if made.not_found:
        say(f"nothing can be shown of {made.not_found:,} pairs: their documents were not found, or lack the fields")
    say(
        f"{len(made.pairs):,} pairs in {folder.pool_file}: {made.new:,} new, {made.graded:,} with a grade, "
        f"{made.left:,} to judge",
        style=None,
    )


def _print_expected(expected: Sequence[ExpectedDifference], depth: int) -> None:
    """Who is ahead, the surest last."""
    table = Table("ahead", "behind", f"nDCG@{depth} expected", "how sure", show_edge=False)
    for comparison in sorted(expected, key=lambda comparison: comparison.certainty):
        table.add_row(
            comparison.ahead, comparison.behind, f"+{comparison.difference:.4f}", f"{comparison.certainty:.0%}"
        )
    results().print(table)
