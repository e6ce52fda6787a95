"""`python -m connector` as a user runs it, in a process of its own and without settings from around it.

Most of what a command costs is its imports. So they are done once, in a process that forks each command from itself, or
each program of this repository, for all processes of the run that share the tests; a `Launcher` asks it. `run` starts a
command from nothing, as a shell does."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock
from support.servers.running_engines import FOLDER

TIMEOUT_S = 240
UNHURRIED = ("--set", "search.deadline_s=120")  # for a search that is to be whole, however busy the machine
# what commands import once they are asked for; lancedb, which calls its forks an experiment, has begun nothing before
# one but a thread that sleeps, and begins that anew in each
IMPORTS = (
    "elasticsearch", "opensearchpy", "pyarrow.dataset", "lance_namespace", "tqdm", "filelock.asyncio", "Stemmer",
    "onnxruntime", "tokenizers", "uvloop", "anyio", "httpcore", "h11", "pythonjsonlogger.json", "ruamel.yaml",
    "connector.cli.commands.ingest", "connector.cli.commands.search", "connector.cli.commands.worker",
    "connector.cli.commands.index", "connector.worker.serve", "connector.client", "connector.ingest.job",
    "connector.models.encoder", "connector.models.late_interaction", "connector.models.onnx.runtime",
    "connector.evaluation.evaluate", "connector.evaluation.gate", "connector.judging.page.app",
    "connector.backfill.run", "connector.clusters.embedded.cluster", "connector.ingest.following.job",
    "lancedb.embeddings", "anyio._backends._asyncio", "connector.logs", "connector.cli.error_line",
)  # fmt: skip
TORCH = ("torch", "transformers", "sentence_transformers", "transformers.models.bert.modeling_bert")
FORKING = Path(__file__).with_name("forking.py")
STARTED: list[subprocess.Popen[bytes]] = []  # launchers; each ends by itself


def flat(text: str) -> str:
    """What a command prints, whatever the width that it was wrapped to."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended: its exit code (negative for a signal) and what it said."""

    code: int
    stdout: str
    stderr: str


def error_line(done: Finished, *, code: int = 2) -> str:
    """What a command says that failed: one line, no traceback."""
    assert (done.code, done.stdout) == (code, ""), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


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


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal (Linux)."""
    (mask,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


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

    def stderr(self) -> str:
        """What it has said on stderr so far."""
        return self._stderr.read_text() if self._stderr.exists() else ""

    def wait(self, timeout_s: float = TIMEOUT_S) -> Finished:
        code = self.ended.result(timeout_s)
        return Finished(code, self._stdout.read_text(), self._stderr.read_text())


class Launcher:
    """Starts commands in forks of one process. For one thread at a time."""

    def __init__(self, connection: socket.socket, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._started: queue.Queue[int] = queue.Queue()
        self._running: dict[int, Running] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        threading.Thread(target=self._listen, args=(connection.makefile("r"),), daemon=True).start()

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
            "variables": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")} | dict(variables or {}),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        self._connection.sendall(json.dumps(order).encode() + b"\n")
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
    """A launcher for as long as the block lasts; of more `imports` than each command needs. A program that no test runs
    has one of its own."""
    with tempfile.TemporaryDirectory(prefix="connector-commands-") as folder:
        connection = _connect(Path(os.environ.get(FOLDER, folder), "launcher"), imports)
        try:
            yield Launcher(connection, Path(folder))
        finally:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _connect(place: Path, imports: Sequence[str] = ()) -> socket.socket:
    """A connection to the run's launcher there, or to its branch with more imports; started where there is none."""
    own = place.with_name("-".join([place.name, *imports[:1]]))
    with FileLock(own.with_suffix(".lock")):
        if (connection := _greet(own)) is None:
            own.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(own))
                listener.listen()
                if imports:
                    _branch(place, imports, listener)
                else:
                    _start(listener, place.with_suffix(".log"))
            connection = _greet(own)
        assert connection, f"the launcher of commands ended: {place.with_suffix('.log').read_text()}"
        return connection


def _start(listener: socket.socket, log: Path) -> None:
    with open(log, "wb") as written:
        STARTED.append(
            subprocess.Popen(
                [sys.executable, str(FORKING), str(listener.fileno()), *IMPORTS],
                env=environment(),
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,  # Ctrl-C is for the tests, with which it ends
            )
        )


def _branch(place: Path, imports: Sequence[str], listener: socket.socket) -> None:
    """Have the launcher there fork one that imports more and serves the listener."""
    with _connect(place) as connection:
        socket.send_fds(connection, [json.dumps({"imports": imports}).encode() + b"\n"], [listener.fileno()])
        connection.recv(1)


def _greet(place: Path) -> socket.socket | None:
    """A connection to the launcher there, which has answered; None where there is none any more."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(place))
        connection.sendall(b"{}\n")
        if connection.recv(1):
            return connection
    except (FileNotFoundError, ConnectionError):
        pass
    connection.close()
    return None
