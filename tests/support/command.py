"""`python -m connector` as a user runs it, in a process of its own and without settings from around it.

Most of what a command costs is its imports. So `Launcher` does them once, in a process that forks each command from
itself, or each program of this repository; `run` starts a command from nothing, as a shell does."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TIMEOUT_S = 240
# what commands import once they are asked for; of lancedb only what it needs: its own threads would survive no fork
IMPORTS = (
    "elasticsearch", "opensearchpy", "pyarrow.dataset", "lance_namespace", "tqdm", "filelock", "Stemmer",
    "onnxruntime", "tokenizers", "uvloop", "anyio", "httpcore", "h11", "pythonjsonlogger.json", "ruamel.yaml",
    "connector.cli.commands.ingest", "connector.cli.commands.search", "connector.cli.commands.worker",
    "connector.cli.commands.index", "connector.worker.serve", "connector.client", "connector.ingest.job",
    "connector.models.encoder", "connector.models.late_interaction", "connector.models.onnx.runtime",
    "connector.evaluation.evaluate", "connector.evaluation.gate", "connector.judging.page.app",
    "connector.backfill.run",
)  # fmt: skip
TORCH = ("torch", "transformers", "sentence_transformers")
LAUNCHER = """
import gc, importlib, json, os, runpy, signal, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from connector.__main__ import main
from connector.cli import app

def reap(number, frame):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        os.write(1, (json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}) + "\\n").encode())

signal.signal(signal.SIGCHLD, reap)
gc.collect()
gc.freeze()  # what is loaded is never garbage; to look through it would copy its pages in each fork
for line in sys.stdin:
    order = json.loads(line)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # so that none ends before it is said to have started
    pid = os.fork()
    if pid:
        os.write(1, (json.dumps({"started": pid}) + "\\n").encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    os.chdir(order["cwd"])
    os.environ.update(order["variables"])
    for number, name in ((0, os.devnull), (1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = [order["program"] or "connector", *order["arguments"]]
    code = 0
    try:
        if order["program"]:
            sys.path[0] = os.path.dirname(order["program"])
            runpy.run_path(order["program"], run_name="__main__")
        else:
            main()
    except SystemExit as ended:
        code = ended.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # tearing down what torch has made takes longer than most commands
"""


def flat(text: str) -> str:
    """What a command prints, whatever the width that it was wrapped to."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended: its exit code (negative for a signal) and what it said."""

    code: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path, stdin: str = "") -> Finished:
    """One command from nothing to its end."""
    command = [sys.executable, "-m", "connector", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment(), input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    """The environment without settings of the connector, and wide enough that no table is folded."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")} | {"COLUMNS": "200"}


class Running:
    """A command under way. `ended` resolves to its exit code."""

    def __init__(self, pid: int, stdout: Path, stderr: Path) -> None:
        self.pid = pid
        self.ended: Future[int] = Future()
        self._stdout = stdout
        self._stderr = stderr

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, where it has not ended by itself at this moment."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, by)

    def said(self) -> str:
        """What it has said on stderr so far."""
        return self._stderr.read_text() if self._stderr.exists() else ""

    def wait(self, timeout_s: float = TIMEOUT_S) -> Finished:
        code = self.ended.result(timeout_s)
        return Finished(code, self._stdout.read_text(), self._stderr.read_text())


class Launcher:
    """Starts commands in forks of one process. For one thread at a time."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._started: queue.Queue[int] = queue.Queue()
        self._running: dict[int, Running] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        assert process.stdout
        threading.Thread(target=self._listen, args=(process.stdout,), daemon=True).start()

    def start(
        self, *arguments: str, cwd: Path, variables: Mapping[str, str] | None = None, program: Path | None = None
    ) -> Running:
        """A command of the connector, or the program in that file."""
        self._count += 1
        stdout, stderr = self._folder / f"{self._count}.out", self._folder / f"{self._count}.err"
        order = {
            "program": str(program or ""),
            "arguments": arguments,
            "cwd": str(cwd),
            "variables": dict(variables or {}),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        running = Running(self._started.get(timeout=TIMEOUT_S), stdout, stderr)
        with self._lock:
            self._running[running.pid] = running
            if running.pid in self._codes:
                running.ended.set_result(self._codes[running.pid])
        return running

    def run(self, *arguments: str, cwd: Path, **variables: str) -> Finished:
        """One command to its end."""
        return self.start(*arguments, cwd=cwd, variables=variables).wait()

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            message = json.loads(line)
            if "started" in message:
                with self._lock:  # after some thousands of processes, their numbers come again
                    self._codes.pop(message["started"], None)
                    self._running.pop(message["started"], None)
                self._started.put(message["started"])
                continue
            with self._lock:
                self._codes[message["ended"]] = message["code"]
                if message["ended"] in self._running:
                    self._running[message["ended"]].ended.set_result(message["code"])


@contextmanager
def launching(*imports: str) -> Iterator[Launcher]:
    """A launcher that ends with the block; of more `imports` than each command needs."""
    with tempfile.TemporaryDirectory(prefix="connector-commands-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, *IMPORTS, *imports],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Launcher(process, Path(folder))
        finally:
            process.kill()
            process.communicate()
