"""A worker as a child process, for programs that bring their own: commands with --reranker, the demo, benches,
tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.errors import ModelError, WorkerError
from connector.readiness import read_state
from connector.settings.names import ENV_PREFIX

START_TIMEOUT_S = 600.0  # a large model takes minutes; one that ends or fails is told at once
STOP_TIMEOUT_S = 20.0  # longer than worker.drain_s is by default
POLL_S = 0.05
LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A running worker and where it listens."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_worker(
    arguments: Sequence[str] = (),
    *,
    own_settings: bool = False,
    timeout_s: float = START_TIMEOUT_S,
    log_file: Path | None = None,
) -> Iterator[WorkerProcess]:
    """A worker on a free port with a ready model; it ends with the block. `own_settings`: it has those of its arguments
    and no others, neither of the environment nor of a settings file. `log_file`: where its log is kept.

    Raises WorkerError where it ends, or is not ready after `timeout_s`; ModelError where its model cannot be loaded."""
    variables = dict(os.environ)
    if own_settings:
        arguments = ["--config", os.devnull, *arguments]
        variables = {name: value for name, value in variables.items() if not name.startswith(ENV_PREFIX)}
    command = [sys.executable, "-m", "connector", "worker", "--port", "0", *arguments]
    with tempfile.TemporaryDirectory(prefix="connector-worker-") as folder:
        ready_file, log_file = Path(folder, "ready.json"), log_file or Path(folder, "log")
        with open(log_file, "wb") as log:
            process = subprocess.Popen(
                [*command, "--ready-file", str(ready_file)], stderr=log, stdout=log, env=variables
            )
        try:
            yield WorkerProcess(_wait_until_ready(process, ready_file, log_file, timeout_s), process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], ready_file: Path, log_file: Path, timeout_s: float) -> str:
    """The URL of a worker that is ready."""
    end = time.monotonic() + timeout_s
    while True:
        code = process.poll()
        seen = read_state(ready_file)
        if seen and seen.state == "ready" and code is None:
            return seen.url
        if seen and seen.state == "failed":
            raise ModelError(f"the model could not be loaded: {seen.error}")
        if code is not None:
            raise WorkerError(f"the worker ended before it was ready (exit code {code}){_last_words(log_file)}")
        if time.monotonic() > end:
            doing = "loads its model" if seen else "does not listen yet"
            raise WorkerError(f"the worker is not ready after {timeout_s:g} s: it {doing}{_last_words(log_file)}")
        time.sleep(POLL_S)


def _last_words(log_file: Path) -> str:
    lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    return (
        "".join(f"\n{line}" for line in ["; its last words:", *lines[-LAST_LINES:]])[1:]
        if lines
        else "; it said nothing"
    )
