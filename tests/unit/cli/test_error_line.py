"""How an error ends a command: in a line, with what is behind it for those who ask."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.programs.command import Launcher
from support.programs.plugins import write_package

HINT = "CONNECTOR_LOG_LEVEL=debug shows the traceback"


@pytest.fixture
def python_path(tmp_path: Path) -> str:
    """Where plug-ins are that raise as they are made: by a slip, and since a file is not there."""
    entry_points = {"hybrid_search_connector.sources": {"slip": "acme:Slip", "gone": "acme:Gone"}}
    source = "class {0}:\n    def __init__(self, location, options):\n        raise {1}\n"
    slip, gone = source.format("Slip", "KeyError('account')"), source.format("Gone", "FileNotFoundError('no mail')")
    write_package(tmp_path / "packages", "acme", "1.0", entry_points, {"acme.py": slip + gone})
    return os.pathsep.join([str(tmp_path / "packages"), os.environ.get("PYTHONPATH", "")])


def test_an_error_is_one_line_and_says_how_to_see_more(launcher: Launcher, tmp_path: Path, python_path: str) -> None:
    done = launcher.run("ingest", "slip:x", cwd=tmp_path, PYTHONPATH=python_path)

    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: the source plug-in 'slip' of acme 1.0 failed: KeyError: 'account'",
        HINT,
    ]


def test_at_level_debug_the_traceback_leads_to_who_raised_it(
    launcher: Launcher, tmp_path: Path, python_path: str
) -> None:
    done = launcher.run("ingest", "slip:x", "--set", "log.level=debug", cwd=tmp_path, PYTHONPATH=python_path)
    *traceback, last = done.stderr.splitlines()

    assert done.code == 2
    assert last == "error: the source plug-in 'slip' of acme 1.0 failed: KeyError: 'account'"
    assert any(line.endswith('acme.py", line 3, in __init__') for line in traceback)
    assert HINT not in traceback


def test_in_json_the_traceback_is_a_member(launcher: Launcher, tmp_path: Path, python_path: str) -> None:
    (tmp_path / "connector.yaml").write_text("log: {format: json, level: debug}\n")
    done = launcher.run("ingest", "slip:x", cwd=tmp_path, PYTHONPATH=python_path)
    *_, last = map(json.loads, done.stderr.splitlines())

    assert (last["level"], last["error"]) == ("ERROR", "PluginError")
    assert "KeyError: 'account'" in last["exc_info"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "gone:x"),  # the plug-in's words say it
        ("search", "a", "--set", "search.k=-1"),
        ("search", "a", "--cluster", "http://127.0.0.1:9"),
        ("index", "show", "--index", "none"),  # of which LanceDB says so by a ValueError
    ],
)
def test_what_the_line_says_in_full_has_no_hint(
    launcher: Launcher, tmp_path: Path, python_path: str, arguments: tuple[str, ...]
) -> None:
    done = launcher.run(*arguments, cwd=tmp_path, PYTHONPATH=python_path)

    assert done.code in (2, 3)
    assert done.stderr.startswith("error: ")
    assert HINT not in done.stderr
