"""What the doctor found, on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from connector.cli.console import results, stderr

if TYPE_CHECKING:
    from connector.doctor.findings import Finding

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def print_findings(findings: Sequence[Finding]) -> None:
    """A row for each check, and how many went how."""
    table = Table(show_edge=False, show_lines=False)
    table.add_column("check", no_wrap=True)
    table.add_column("")
    table.add_column("what was seen, and what to do", overflow="fold")
    for finding in findings:
        text = Text.assemble(finding.seen, ("\n→ " + finding.advice, "bold") if finding.advice else "")
        table.add_row(finding.check, Text(finding.status, STYLES[finding.status]), text)
    results().print(table)
    counted: Counter[str] = Counter(finding.status for finding in findings)
    stderr.print(", ".join(f"{counted[status]} {status}" for status in STYLES), highlight=False)
