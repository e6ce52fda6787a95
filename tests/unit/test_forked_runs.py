"""How the processes that share the tests come to be: as forks, which are what pytest-xdist meant to start."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import forked_runs

SERVE = """
import socket, sys
sys.path.insert(0, {folder!r})
import forked_runs
with socket.socket(fileno=int(sys.argv[1])) as listener:
    forked_runs.serve(listener)
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
