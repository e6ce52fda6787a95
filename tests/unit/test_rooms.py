"""CONTRIBUTING's table of rooms is what the code imports: every room stands in it, and uses all that the table says,
and nothing else. Inside a room imports go one way too."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from support.repository.pages import ROOT
from support.repository.syntax import nodes

PACKAGE = ROOT / "connector"
TOP = {"__init__", "__main__"}  # what a user imports and calls
Place = tuple[str, ...]  # of a file: ("connector", "search", "run"), ("connector", "search", "__init__")


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


def test_the_parts_of_a_folder_do_not_import_each_other_in_circles() -> None:
    """A part is a file, or a folder with all that is in it. What is imported for the type checker alone does not
    count."""
    files = {("connector", *file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    imports = [
        (place, imported)
        for place, file in files.items()
        for name in _imported_names(nodes(file))
        if (imported := _place(name, files)) is not None and imported != place
    ]

    assert len(imports) > len(files)
    assert list(_circles(imports)) == []


def test_a_circle_of_parts_is_found_and_an_import_for_types_is_none() -> None:
    file, folder, deep = (
        ("connector", "room", "file"),
        ("connector", "room", "folder", "a"),
        ("connector", "other", "b"),
    )
    module = ast.parse("from connector.room import file\nif TYPE_CHECKING:\n    from connector.other import b\n")

    assert list(_circles([(file, folder), (folder, deep)])) == []
    assert list(_circles([(file, folder), (folder, file)])) == ["connector/room: file -> folder -> file"]
    assert list(_imported_names(list(ast.walk(module)))) == ["connector.room.file"]


def _circles(imports: Iterable[tuple[Place, Place]]) -> Iterator[str]:
    """One circle of each folder that has any."""
    parts: dict[Place, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importing, imported in imports:
        depth = next(at for at, (own, other) in enumerate(zip(importing, imported, strict=False)) if own != other)
        parts[importing[:depth]][importing[depth]].add(imported[depth])
    for folder, uses in parts.items():
        try:
            TopologicalSorter(uses).prepare()
        except CycleError as error:
            yield f"{'/'.join(folder)}: {' -> '.join(reversed(error.args[1]))}"


def _imported_names(module: Sequence[ast.AST]) -> Iterator[str]:
    """What a file imports of ours, wherever in it: modules, and names in modules."""
    for_types = {
        id(inner)
        for node in module
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in module:
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "connector":
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "connector")


def _place(name: str, files: Iterable[Place]) -> Place | None:
    """The file that a name stands in."""
    parts = tuple(name.split("."))
    for end in range(len(parts), 0, -1):
        for place in (parts[:end], (*parts[:end], "__init__")):
            if place in files:
                return place
    return None


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
