"""What is installed in an engine, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from connector.cli.console import results

if TYPE_CHECKING:
    from connector.native.plan import Part


def print_parts(parts: Sequence[Part]) -> None:
    """A row for each part."""
    table = Table(show_edge=False)
    for column in ("what", "name", "id", "state", ""):
        table.add_column(column, overflow="fold")
    for part in parts:
        table.add_row(part.kind, part.name, part.id, part.state, part.detail)
    results().print(table)
