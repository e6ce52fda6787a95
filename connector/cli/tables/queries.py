"""The queries that were taken out of logs, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from connector.cli.console import results, say

if TYPE_CHECKING:
    from connector.judging.logs.read import QueryLog
    from connector.judging.queries.sample import TakenQueries

TREATED = {"leave-out": "left out:", "mask": "masked:", "keep": "kept:"}


def print_queries(taken: TakenQueries, logs: list[QueryLog], personal: str) -> None:
    """A row for each band, and what is not among the queries."""
    for log in logs:
        say(f"{log.name}: read as {log.kind}", style=None)
    table = Table("band", show_edge=False)
    for column in ("searches", "different queries", "sampled"):
        table.add_column(column, justify="right")
    table.add_column("most frequent of them")
    for band in ("head", "torso", "tail"):
        drawn = [sampled for sampled in taken.sample if sampled.band == band]
        frequent = ", ".join(sampled.query.text for sampled in drawn[:3])
        table.add_row(
            band, f"{taken.searches[band]:,}", f"{taken.queries[band]:,}", f"{len(drawn):,}", frequent[:60] or "-"
        )
    results().print(table)
    for line in _remarks(taken, personal):
        say(line)


def _remarks(taken: TakenQueries, personal: str) -> Iterator[str]:
    """What is not among the queries, and why."""
    tally = taken.tally
    yield f"{tally.searches:,} of {tally.entries:,} entries hold a query"
    for reason, count in tally.no_search.most_common():
        yield f"{count:,} without one: {reason}"
    for reason, count in taken.left_out.most_common():
        yield f"{count:,} left out: {reason}"
    if taken.personal:
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in taken.personal.most_common())
        yield f"{TREATED[personal]} queries with what looks like a person's data ({kinds})"
    if taken.rare:
        yield f"{taken.rare:,} queries left out: asked too rarely"
    if tally.unreadable:
        yield f"{tally.unreadable:,} entries cannot be read, such as:"
    for entry in tally.examples:
        yield f"  {entry.origin}: {getattr(entry.outcome, 'reason', '')}: {_readable(entry.raw)}"


def _readable(raw: str) -> str:
    """One line, without what would steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in raw).strip()
