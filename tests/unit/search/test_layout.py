"""The search knows protocols, and reads in one direction."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from support.repository.syntax import nodes

import connector.search

FOLDER = Path(connector.search.__file__).parent
# a part uses only those before it, and of its own folder only those before it there
PARTS = [
    "long_texts", "own", "page_request", "request", "run", "named_reranker", "weights", "refusals", "legs",
    "combination", "fusion", "stages", "results_page", "hits", "as_json", "pages", "searcher",
]  # fmt: skip
FOLDERS = {
    "pages": ["digest", "signature", "frozen", "pages"],
    "legs": ["leg", "lexical", "dense", "build", "ask"],
    "stages": ["pairs", "order", "when", "stage", "run_stages"],
}


def imports(file: Path) -> set[str]:
    return {node.module for node in nodes(file) if isinstance(node, ast.ImportFrom) and node.module}


def test_each_part_of_a_search_uses_only_those_before_it() -> None:
    files = sorted(file for file in FOLDER.rglob("*.py") if file.name != "__init__.py")
    order = [
        name for part in PARTS for name in ([f"{part}.{file}" for file in FOLDERS[part]] if part in FOLDERS else [part])
    ]
    names = {file: ".".join(file.relative_to(FOLDER).with_suffix("").parts) for file in files}

    assert set(names.values()) == set(order)
    for file, name in names.items():
        found = imports(file)
        used = {module.removeprefix("connector.search.") for module in found if module.startswith("connector.search.")}
        assert used <= set(order[: order.index(name)]), name


def test_the_search_loads_neither_the_server_nor_any_client_of_one() -> None:
    code = (
        "import sys, connector.search.searcher; print(*[name for name in sys.modules if name.startswith('connector.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "connector.search.searcher" in loaded
    assert not [name for name in loaded if name.startswith(("connector.worker", "connector.rerankers.worker"))]
