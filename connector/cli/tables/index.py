"""What an index holds, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from connector.cli.console import results


def print_index(description: Mapping[str, Any]) -> None:
    """A row for each fact."""
    table = Table(show_header=False, show_edge=False)
    for name, value in description.items():
        table.add_row(
            name,
            ", ".join(f"{key}={setting}" for key, setting in value.items()) if isinstance(value, dict) else str(value),
        )
    results().print(table)
