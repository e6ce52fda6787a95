"""What a forked program starts by `subprocess` is forked too, from a process that has done the imports, where it is a
command of the connector or a program of this repository. All else is started as ever.

That process, the nursery, is forked before the program begins, while there are no threads. It forks each child by way
of a process that ends at once. So the child becomes one of the program, which waits for it, kills it and looks at it as
ever."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SET_CHILD_SUBREAPER = 36  # of prctl: whose parent has ended becomes a child of this process
MOST_BYTES = 1 << 17  # of an order
RunProgram = Callable[[str, Sequence[str], Mapping[str, str]], None]


def fork_children(run: RunProgram) -> None:
    """From now on children of this process are forked. `run` is called in each, with the file of a program, or nothing
    for the connector, its arguments and its environment, and does not return."""
    execute: Callable[..., int] | None = getattr(subprocess, "_fork_exec", None)
    if execute is None or sys.platform != "linux" or ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return  # another Python, or another system
    nursery = _start_nursery(run)
    lock = threading.Lock()

    def start(words: Sequence[Any], *given: Any) -> int:
        """As `_posixsubprocess.fork_exec`: the new process's id."""
        kept, directory, variables, error_pipe = given[2], given[3], given[4], given[12]
        program = _program(words, variables)
        if program is None or set(kept) != {error_pipe}:
            return execute(words, *given)
        order = {
            "program": program,
            "arguments": [os.fsdecode(word) for word in words[2 if program else 3 :]],
            "directory": os.fsdecode(directory or os.getcwd()),
            "variables": _as_text(variables),
            "is_session": bool(given[14]),
        }
        streams = [own if asked < 0 else asked for own, asked in enumerate((given[5], given[8], given[10]))]
        with lock:
            socket.send_fds(nursery, [json.dumps(order).encode()], streams)
            return int(nursery.recv(32))

    subprocess._fork_exec = start  # type: ignore[attr-defined]  # private, so that no stub has it


def _program(words: Sequence[Any], variables: Sequence[bytes] | None) -> str | None:
    """The file of the program that these words start, nothing for a command of the connector; None: what is not
    forked, as also where the connector of another folder is meant."""
    python, *rest = (os.fsdecode(word) for word in words)
    paths = _as_text(variables).get("PYTHONPATH", "").split(os.pathsep)
    code = next((path for path in paths if path and Path(path, "connector").is_dir()), ROOT)
    if python != sys.executable or Path(code) != ROOT:
        return None
    if rest[:2] == ["-m", "connector"]:
        return ""
    return rest[0] if rest and rest[0].endswith(".py") and Path(rest[0]).is_relative_to(ROOT) else None


def _as_text(variables: Sequence[bytes] | None) -> dict[str, str]:
    if variables is None:
        return dict(os.environ)
    return {name: value for name, _, value in (os.fsdecode(variable).partition("=") for variable in variables)}


def _start_nursery(run: RunProgram) -> socket.socket:
    """Where it is asked."""
    own_end, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        far_end.close()
        return own_end
    own_end.close()
    while True:
        content, streams, _, _ = socket.recv_fds(far_end, MOST_BYTES, 3)
        if not content:
            os._exit(0)  # the program has ended
        order = json.loads(content)
        read, written = os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                os.write(written, str(pid).encode())
                os._exit(0)
            for number in (far_end.fileno(), read, written):
                os.close(number)
            _begin(order, streams)
            run(order["program"], order["arguments"], order["variables"])
        os.waitpid(between, 0)  # from now on the child is the program's
        far_end.send(os.read(read, 32))
        for number in (*streams, read, written):
            os.close(number)


def _begin(order: Mapping[str, Any], streams: Sequence[int]) -> None:
    if order["is_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(order["directory"])
