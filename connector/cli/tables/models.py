"""Models, on a terminal: one that was exported, one that was fetched, and all that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from connector.cli.console import results

if TYPE_CHECKING:
    from connector.models.listing import KnownModel
    from connector.models.onnx.agreement import Agreement


def print_export(model: str, backend: str, found: Agreement) -> None:
    """How far the exported graph agrees with the model."""
    table = Table(show_header=False, show_edge=False)
    table.add_row("model", model)
    table.add_row("backend", backend)
    table.add_row("same passages among the first 10", f"{found.overlap:.1%}")
    table.add_row("largest difference of two scores", f"{found.largest_difference:.4f}")
    table.add_row("speed", f"{found.speedup:.2f} times the original's here")
    results().print(table)


def print_fetched(facts: Mapping[str, Any]) -> None:
    """What was fetched, and to where."""
    table = Table(show_header=False, show_edge=False)
    table.add_column("fact")
    table.add_column("value", overflow="fold")
    for fact, value in facts.items():
        table.add_row(fact, f"{value:,}" if isinstance(value, int) else str(value))
    results().print(table)


def print_models(models: Sequence[KnownModel]) -> None:
    """A row for each model."""
    table = Table("model", "from", "sha256", "licence", "MB", "used by", show_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True  # a name is there to be copied
    for model in models:
        size = f"{model.bytes / 1e6:,.0f}" if model.bytes else ""
        place = re.split("[ ,]", model.place)[0] if model.folder else model.place.partition(";")[0]
        table.add_row(model.name, place, model.sha256[:12], model.licence, size, ", ".join(model.used_by))
    results().print(table)
