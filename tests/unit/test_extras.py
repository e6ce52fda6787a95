"""What an extra brings, and what is said where it is missing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from support.repository.syntax import nodes

from connector.errors import MissingExtra
from connector.extras import EXTRAS, MODULES, needs, require

ROOT = Path(__file__).parents[2]
OPTIONAL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BROUGHT = frozenset().union(*MODULES.values())
# imported as a whole within `with needs(...)`, by the module that is named
GUARDED = {
    "connector/backfill/keeping_up/metrics.py": "connector/cli/following.py",
    "connector/clusters/embedded/": "connector/clusters/connect.py",
    "connector/ingest/sources/html.py": "connector/ingest/sources/folder.py",
    "connector/ingest/sources/pdf.py": "connector/ingest/sources/folder.py",
    "connector/ingest/sources/parquet": "connector/ingest/sources/opening.py",
    "connector/ingest/sources/postgres": "connector/ingest/sources/opening.py",
    "connector/ingest/following/postgres": "connector/ingest/following/opening.py",
    "connector/ingest/following/kafka_topic.py": "connector/ingest/following/opening.py",
    "connector/ingest/ray/": "connector/ingest/job.py",
    "connector/backfill/in_place/on_ray.py": "connector/backfill/run.py",
    "connector/judging/page/": "connector/cli/commands/judge/page.py",
    "connector/metrics.py": "connector/cli/commands/worker.py",  # as part of the worker, and so of the gateway
    "connector/models/": "connector/models/load.py",
    "connector/training/": "connector/training/fine_tune.py",
    "connector/gateway/": "connector/cli/commands/gateway.py",
    "connector/worker/": "connector/cli/commands/worker.py",
}
BRINGS = {"sentence-transformers": ("transformers",), "fastapi": ("starlette",)}


def test_a_missing_package_is_an_error_that_names_its_extra_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)

    with pytest.raises(MissingExtra, match="reading PDF needs the package pypdf, which is not installed") as caught:
        with needs("files", "reading PDF"):
            import pypdf  # noqa: F401
    assert "pip install 'hybrid-search-connector[files]'" in str(caught.value)
    assert (caught.value.extra, caught.value.package) == ("files", "pypdf")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_missing_package_is_found_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)

    with pytest.raises(MissingExtra, match=r"training needs the package accelerate, .*connector\[train\]'"):
        require("train", "training")


def test_an_import_error_out_of_an_installed_package_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "selectolax", raising=False)
    (tmp_path / "selectolax.py").write_text("import surely_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        with needs("files", "reading HTML"):
            import selectolax

    (tmp_path / "selectolax.py").write_text("from math import surely_not_there\n")
    with pytest.raises(ImportError, match="surely_not_there"):
        with needs("files", "reading HTML"):
            import selectolax  # noqa: F401


def test_a_module_that_an_installed_package_lacks_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="surely_not_there"):
        with needs("files", "reading Parquet"):
            import pyarrow.surely_not_there  # noqa: F401


def test_every_extra_installs_the_modules_that_are_said_to_come_with_it() -> None:
    distributions = packages_distributions()
    for extra in EXTRAS:
        installed = _installs(extra)
        for module in MODULES[extra]:
            assert {name.lower().replace("_", "-") for name in distributions[module]} & installed, (extra, module)


def test_what_an_extra_brings_is_imported_where_its_lack_becomes_an_error_of_ours() -> None:
    unguarded = [
        f"{file}: {module}"
        for path in sorted((ROOT / "connector").rglob("*.py"))
        if not (file := path.relative_to(ROOT).as_posix()).startswith(tuple(GUARDED))
        for module in _unguarded_imports(nodes(path)[0])
    ]

    assert unguarded == []


def _unguarded_imports(node: ast.AST) -> Iterator[str]:
    """The optional packages that are imported outside of `with needs(...)`, and not for type checkers alone."""
    if isinstance(node, ast.With) and "needs(" in ast.unparse(node.items[0]):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "'opentelemetry' in sys.modules"):
        return
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
    yield from (name for name in names if name.partition(".")[0] in BROUGHT)
    for child in ast.iter_child_nodes(node):
        yield from _unguarded_imports(child)


def test_all_is_every_extra() -> None:
    assert {name for extra in EXTRAS for name in _installs(extra)} <= _installs("all")


def _installs(extra: str) -> set[str]:
    """The names of the distributions that an extra asks for, itself or by another extra, and of some that they
    bring."""
    names: set[str] = set()
    for line in OPTIONAL[extra]:
        name, others = re.match(r"([\w.-]+)(?:\[([\w,]+)])?", line).groups()
        if name == "hybrid-search-connector":
            names |= {brought for other in others.split(",") for brought in _installs(other)}
        else:
            names |= {name, *BRINGS.get(name, ())}
    return names
