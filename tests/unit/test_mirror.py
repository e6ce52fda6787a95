"""`tests/unit` mirrors the package: the tests of a folder are in the folder of the same name, and what several folders
do together is tested one level up. Who names a file of tests names one that is there."""

from __future__ import annotations

import re
import subprocess
import tomllib

from conftest import GROUP_OF
from support.repository.pages import ROOT

PACKAGE, UNIT = ROOT / "connector", ROOT / "tests" / "unit"
# folders of the package without one here, and where their tests are
ELSEWHERE = {
    "backfill/beside": "it is nothing without an engine: tests/live/test_beside.py and test_beside_refusals.py",
    "backfill/into": "as backfill/beside: tests/live/test_into.py",
    "clusters/beside": "as backfill/beside",
    "contract": "it is classes of tests: tests/contract has our own parts pass them",
    "contract/clusters": "as contract",
    "search/legs": "a leg is asked by a search, and has no answer without one: search/test_searcher.py and test_own.py",
}
MADE_UP = {"tests/live/test_a.py", "tests/test_acme.py"}  # by tests, as examples
NAMED = re.compile(r"\btests/[\w/]+\.(?:py|java|sh)\b")
NAMING = ("Makefile", "pyproject.toml", ".pre-commit-config.yaml", ".ci/*", ".github/workflows/*", "docker/*")


def test_each_folder_of_the_package_has_its_tests_in_the_folder_of_its_name() -> None:
    folders = {file.parent.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("[!_]*.py")} - {"."}
    tested = {file.parent.relative_to(UNIT).as_posix() for file in UNIT.rglob("*.py")} - {"."}

    assert sorted(tested - folders) == []
    assert sorted(folders - tested) == sorted(ELSEWHERE)


def test_files_of_tests_that_are_named_somewhere_are_there() -> None:
    files = [file for pattern in NAMING for file in ROOT.glob(pattern) if file.is_file()]
    files += [file for folder in ("tests", "bench", "connector") for file in (ROOT / folder).rglob("*.py")]
    named = {(name, file) for file in files for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    files_there = MADE_UP | {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("*.*")}

    assert len(named) > 10
    assert [(str(file.relative_to(ROOT)), name) for name, file in named if name not in files_there] == []


def test_files_of_tests_that_are_left_out_or_put_together_are_there() -> None:
    """Of a path that is not there, neither pytest nor mypy say anything."""
    made = subprocess.run(["make", "-n", "test-lowest"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left_out = re.findall(r"--ignore (\S+)", made)
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    folders = "|".join(folder.name for folder in (ROOT / "tests").iterdir() if folder.is_dir())
    checked_less = [
        f"tests/{name.replace('.', '/')}.py"
        for override in overrides
        for name in override["module"]
        if re.fullmatch(rf"({folders})\.[\w.]+", name)
    ]

    assert min(map(len, (left_out, checked_less, GROUP_OF))) > 5
    assert [path for path in (*left_out, *checked_less, *GROUP_OF) if not (ROOT / path).exists()] == []
