"""The settings that hold, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from connector.cli.console import results
from connector.settings.file import to_text

HIDDEN = "***"  # in place of a secret


def print_settings(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A row for each setting, path -> value and origin; those that are not the default stand out."""
    table = Table(show_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for path, row in rows.items():
        style = "dim" if row["origin"] == "default" else "bold"
        value = HIDDEN if row["value"] == HIDDEN else to_text(row["value"])
        table.add_row(path, Text(value), Text(row["origin"]), style=style)
    results().print(table)
