"""How the processes that share the tests come to be: as forks, which are what pytest-xdist meant to start."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.repository.pages import ROOT
from support.runs import forked_runs

SERVE = """
import socket, sys
sys.path.insert(0, {folder!r})
import forked_runs
with socket.socket(fileno=int(sys.argv[1])) as listener:
    forked_runs.serve(listener)
"""
CONFTEST = """
from pathlib import Path
from support.runs import forked_runs
def pytest_xdist_setupnodes(config, specs):
    specs[0].python, imported = forked_runs.fork_from(config.invocation_params.args, Path.cwd())
    config.add_cleanup(imported.communicate)
"""
READ = "import sys;exec(eval(sys.stdin.readline()))"  # all that pytest-xdist gives to Python


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What to start in the place of Python, where no tests are imported."""
    program = tmp_path / "serve.py"
    program.write_text(SERVE.format(folder=str(Path(forked_runs.__file__).parent)))
    ask = forked_runs.__file__
    monkeypatch.setattr(forked_runs, "__file__", str(program))
    words, served = forked_runs.fork_from([], tmp_path)
    yield [ask if word == str(program) else word for word in shlex.split(words)]
    served.communicate(timeout=60)
    assert served.returncode == 0


def run(python: list[str], line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*python, "-u", "-c", READ], input=f"{line!r}\nmore\n", capture_output=True, text=True)


def test_a_fork_has_the_code_and_the_streams_and_ends_with_the_code(python: list[str]) -> None:
    done = run(python, "print(__name__, sys.argv, sys.stdin.readline().strip())")
    fault = run(python, "import atexit; atexit.register(print, 'the end'); 1 / 0")

    assert (done.stdout, done.stderr) == ("__main__ ['-c'] more\n", "")
    assert (fault.stdout, fault.stderr.splitlines()[-1]) == ("the end\n", "ZeroDivisionError: division by zero")


def test_all_are_forks_of_one_process(python: list[str]) -> None:
    parents = {run(python, "import os; print(os.getppid())").stdout.strip() for _ in range(2)}

    assert len(parents) == 1
    assert not parents & {"1", str(os.getpid())}


def test_a_module_of_tests_that_cannot_be_imported_is_an_error_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\ndef test_broken(): ...\n")
    (tmp_path / "test_whole.py").write_text("from beside import TWO\ndef test_whole(): assert TWO == 2\n")
    (tmp_path / "beside.py").write_text("TWO = 2\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    quick = ("-p", "xdist.plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-n", "1", "--import-mode=importlib", *quick]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "No module named 'nothing_of_that_name'" in done.stdout
