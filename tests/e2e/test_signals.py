"""Ctrl-C and SIGTERM at any moment of a command: one line and 128 + N, from a process as a shell starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.programs.command import catches, environment
from support.runs.effort import IS_SOAK

SIGNALS = [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
WORKED_S = (0.0, 0.1, 0.3, 0.6, 1.0, 2.0)
MOMENTS = [
    (worked_s, *found)
    for at, worked_s in enumerate(WORKED_S)
    for found in (SIGNALS if IS_SOAK else [SIGNALS[at % 2]])  # each of the two at every other of them
]
LIMIT_S = 200
CREATE = ("index", "create", "--set", "fields.text={text: 1}", "--set", "encoder.backend=torch")


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "connector", *arguments],
        cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until_caught(process: subprocess.Popen[str]) -> None:
    """Python itself catches SIGINT; SIGTERM is ours, and is caught last."""
    end = time.monotonic() + LIMIT_S
    while not catches(process.pid, signal.SIGTERM):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(("worked_s", "number", "code", "name"), MOMENTS)
def test_a_signal_while_a_command_starts_ends_it_with_one_line(
    tmp_path: Path, number: signal.Signals, code: int, name: str, worked_s: float
) -> None:
    """In the middle of imports, and of the loading of a model: told by the processor time that was spent, not by a
    clock."""
    process = start(*CREATE, cwd=tmp_path)
    wait_until_caught(process)
    while process.poll() is None and cpu_s(process.pid) < worked_s:
        time.sleep(0.005)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=LIMIT_S)

    assert (process.returncode, stdout) == (code, ""), stderr
    assert stderr.startswith(f"stopped by {name}: ")
    assert stderr.count("\n") == 1
