"""CONTRIBUTING's table of rooms is what the code imports: every room stands in it, and uses only what the table
says."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.pages import ROOT
from support.syntax import nodes

PACKAGE = ROOT / "connector"
TOP = {"__init__", "__main__"}  # what a user imports and calls


def test_the_table_of_rooms_is_what_the_code_imports() -> None:
    rows, found = _table(), _imports()
    ground = rows[0][0]
    allowed = {room: uses | ground for rooms, uses in rows for room in rooms}
    everything = set(allowed) - {"cli"}
    allowed["cli"] = everything
    missing = sorted(set(found) - set(allowed) - TOP)
    unnamed = {room: sorted(uses - allowed[room] - {room}) for room, uses in found.items() if room in allowed}

    assert not missing
    assert {room: uses for room, uses in unnamed.items() if uses} == {}


def test_a_room_uses_all_that_the_table_allows_it() -> None:
    found = _imports()
    unused = {room: sorted(uses - found[room]) for rooms, uses in _table()[1:] for room in rooms if room != "cli"}

    assert {room: uses for room, uses in unused.items() if uses} == {}


def test_a_room_uses_only_rooms_above_it_in_the_table() -> None:
    rows = _table()
    place = {room: at for at, (rooms, _) in enumerate(rows) for room in rooms}

    assert not [(room, use) for rooms, uses in rows for room in rooms for use in uses if place[use] >= place[room]]


def _table() -> list[tuple[set[str], set[str]]]:
    """The rooms of each row, and what they use beside the ground."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms")[2].partition("## Rules")[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return [(set(re.findall(r"`(\w+)`", first)), set(re.findall(r"`(\w+)`", last))) for first, _, last in cells]


def _imports() -> dict[str, set[str]]:
    """The rooms that each room imports, wherever in its files."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found[room] |= {module.split(".")[1] for module in _modules(file)}
    return found


def _modules(file: Path) -> Iterator[str]:
    for node in nodes(file):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("connector"):
            yield from (
                [str(node.module)] if "." in str(node.module) else [f"connector.{name.name}" for name in node.names]
            )
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("connector."))
