"""The page of refusals names every rule, and none that is not there."""

from __future__ import annotations

import ast
import re

from support.repository.pages import ROOT

from connector.backfill.probe.block_rules import BLOCKS
from connector.backfill.probe.privilege_rules import WITHOUT

PAGE = (ROOT / "docs/reference/backfill-refusals.md").read_text(encoding="utf-8")
LIMITS = {"limit-total_fields", "limit-nested_fields", "limit-depth"}


def names_in_code() -> set[str]:
    """The first argument of each Obstacle and Concern in the probe's rules."""
    found = {f"block-{name}" for name in BLOCKS} | {f"denied-{name}" for name in WITHOUT} | LIMITS
    for file in (ROOT / "connector/backfill/probe").glob("*_rules.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                name = node.args[0]
                if node.func.id in ("Obstacle", "Concern") and isinstance(name, ast.Constant):
                    found.add(str(name.value))
    return found


def test_the_page_names_every_rule() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]

    assert {name for row in rows for name in re.findall(r"`([a-z-_]+)`", row)} == names_in_code()
