"""The process that forks commands: python forking.py LISTENER IMPORTS... Whoever connects sends an empty order, which
is answered, and then one for each command. It is told of each when it starts and when it ends.

A line with more imports comes with a socket that listens: a process is forked from this one, which imports them and
serves it. Each ends with the last who is connected."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[2])
from support.runs.forked_children import fork_children  # noqa: E402


class Forking:
    """Serves connections until the last of them has ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._received: dict[socket.socket, bytes] = {}
        self._asked_by: dict[int, socket.socket | None] = {}  # the processes that run; None: one that forks itself
        self._selector = selectors.PollSelector()
        self._wakeups, self._waker = socket.socketpair()  # of a child that ended
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for source in (self._wakeups, listener):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                self._attend(key.fileobj)
            if not self._received and None not in self._asked_by.values() and not self._is_called():
                return

    def _is_called(self) -> bool:
        """Whether somebody has connected in this moment."""
        return any(key.fileobj is self._listener for key, _ in self._selector.select(0))

    def _attend(self, ready: Any) -> None:
        if ready is self._wakeups:
            self._wakeups.recv(4096)
            self._reap()
        elif ready is self._listener:
            self._add(ready.accept()[0])
        elif ready in self._received:
            self._read(ready)

    def _add(self, connection: socket.socket) -> None:
        self._received[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _remove(self, connection: socket.socket) -> None:
        del self._received[connection]
        self._selector.unregister(connection)
        connection.close()

    def _read(self, connection: socket.socket) -> None:
        try:
            received, passed, _, _ = socket.recv_fds(connection, 1 << 16, 1)
        except ConnectionError:
            received, passed = b"", []
        if not received:
            self._remove(connection)
            return
        *lines, self._received[connection] = (self._received[connection] + received).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "program" in order:
                self._start(connection, order)
                continue
            _say(connection, b"\n")
            for number in passed:
                with socket.socket(fileno=number) as listener:
                    self._branch(listener, order["imports"])

    def _branch(self, listener: socket.socket, imports: list[str]) -> None:
        """A fork that imports more, and serves that listener."""
        pid = os.fork()
        if pid:
            self._asked_by[pid] = None
            return
        self._leave()
        _load(imports)
        Forking(listener).serve()
        os._exit(0)

    def _start(self, connection: socket.socket, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid:
            self._asked_by[pid] = connection
            _say(connection, json.dumps({"started": pid}).encode() + b"\n")
            return
        self._leave()
        _begin(order)

    def _leave(self) -> None:
        """What is of the process that a child was forked from is none of the child's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for connection in (self._listener, self._wakeups, self._waker, *self._received):
            connection.close()

    def _reap(self) -> None:
        while self._asked_by:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            connection = self._asked_by.pop(pid, None)
            if connection in self._received:
                message = {"ended": pid, "code": os.waitstatus_to_exitcode(status)}
                _say(connection, json.dumps(message).encode() + b"\n")


def _say(connection: socket.socket, line: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # who asked has ended
        connection.sendall(line)


def _load(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is loaded is never garbage; to look through it would copy its pages in each fork


def _begin(order: dict[str, Any]) -> None:
    """A forked child: what it was ordered to be."""
    os.chdir(order["cwd"])
    for number, name in enumerate((os.devnull, order["stdout"], order["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    if order["program"] or "--reranker" in order["arguments"]:  # they have children of their own
        fork_children(_run)
    _run(order["program"], order["arguments"], os.environ | order["variables"])


def _run(program: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    from connector.__main__ import main

    os.environ.clear()
    os.environ.update(variables)
    paths = variables.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in paths if path and path not in sys.path]
    importlib.invalidate_caches()
    sys.argv = [program or "connector", *arguments]
    code: int | str | None = 0
    try:
        if program:
            sys.path[0] = os.path.dirname(program)
            runpy.run_path(program, run_name="__main__")
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


if __name__ == "__main__":
    sys.path[0] = ""  # as it is for `python -m`
    _load([*sys.argv[2:], "connector.__main__", "connector.cli.app"])
    with socket.socket(fileno=int(sys.argv[1])) as shared:
        Forking(shared).serve()
