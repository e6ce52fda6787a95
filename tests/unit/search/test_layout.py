"""The search knows protocols, and reads in one direction."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import connector.search

FOLDER = Path(connector.search.__file__).parent
# a part uses only those before it
PARTS = [
    "long_texts",
    "request",
    "run",
    "weights",
    "legs",
    "combination",
    "fusion",
    "rerank",
    "order",
    "hits",
    "searcher",
]


def imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_each_part_of_a_search_uses_only_those_before_it() -> None:
    files = sorted(file for file in FOLDER.glob("*.py") if file.name != "__init__.py")

    assert {file.stem for file in files} == set(PARTS)
    for file in files:
        used = {name.rpartition(".")[2] for name in imports(file) if name.startswith("connector.search.")}
        assert used <= set(PARTS[: PARTS.index(file.stem)]), file.stem


def test_the_search_loads_neither_the_server_nor_any_client_of_one() -> None:
    code = (
        "import sys, connector.search.searcher; print(*[name for name in sys.modules if name.startswith('connector.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "connector.search.searcher" in loaded
    assert not [name for name in loaded if name.startswith(("connector.worker", "connector.rerankers.worker"))]
