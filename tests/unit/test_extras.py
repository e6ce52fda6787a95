"""What an extra brings, and what is said where it is missing."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from connector.errors import MissingExtra
from connector.extras import EXTRAS, MODULES, needs

OPTIONAL = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BRINGS = {"sentence-transformers": ("transformers",), "fastapi": ("starlette",)}


def test_a_missing_package_is_an_error_that_names_its_extra_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)

    with pytest.raises(MissingExtra, match="reading PDF needs the package pypdf, which is not installed") as caught:
        with needs("files", "reading PDF"):
            import pypdf  # noqa: F401
    assert "pip install 'hybrid-search-connector[files]'" in str(caught.value)
    assert (caught.value.extra, caught.value.package) == ("files", "pypdf")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


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
