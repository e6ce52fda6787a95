"""The processes that share the tests of a run (pytest-xdist) are forked from one that has imported all tests and what
these import. That is done once then, and not by each of them at the same time.

    python forked_runs.py NUMBER ARGUMENTS...   the process that they are forked from; NUMBER is of the socket it serves
    python forked_runs.py SOCKET -u -c CODE     what pytest-xdist starts in the place of `python -u -c CODE`

The latter hands its streams and the code to the former, and ends when the fork has ended that runs the code."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what stands for a test process starts with as little as can be
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

MOST_BYTES = 1 << 12  # of the code, which is a line that reads the rest
NO_TESTS = ("-n0", "--collect-only", "-qq", "-p", "no:cacheprovider")
MENDED = "LanceDBBackgroundEventLoop"  # a thread that its library begins anew in a fork
added: list[str] = []  # to sys.path, by what was imported: pytest-xdist gives a fork the path of the first process


def fork_from(arguments: Sequence[str], folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """What to start in the place of Python, where the tests are those of pytest with these arguments; and the process
    that imports them, to be ended by closing its stdin."""
    import shlex
    import subprocess

    place = folder / "tests"
    with socket.socket(socket.AF_UNIX) as listener, open(folder / "tests.log", "wb") as log:
        listener.bind(str(place))
        listener.listen()
        command = [sys.executable, __file__, str(listener.fileno()), *map(str, arguments)]
        importing = subprocess.Popen(
            command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    return shlex.join([sys.executable, "-S", __file__, str(place)]), importing


def ask(place: str, code: str) -> None:
    """Have the code run in a fork, with the streams of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the fork
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(place)
            socket.send_fds(connection, [code.encode()], [0, 1, 2])
            connection.recv(1)
        except ConnectionError:
            with open(f"{place}.log") as log:
                sys.exit(f"no test process can be forked: {log.read()}")


def import_tests(arguments: list[str]) -> None:
    """As `python -m pytest` does that collects them with these arguments; but no test is made of what is imported. And
    a property is tried: Hypothesis then knows the constants in all of the code, and the letters that there are.

    What cannot be imported is forgotten, so that the forks find it out again, and tell of it."""
    import gc
    import threading

    import pytest

    sys.path[0] = os.getcwd()
    before = {*sys.path}

    failed: set[str] = set()

    class NoTests:
        @pytest.hookimpl(tryfirst=True)
        def pytest_pycollect_makeitem(self) -> list[pytest.Item]:
            return []

        def pytest_exception_interact(self, node: pytest.Collector) -> None:
            failed.add(str(node.path))

    pytest.main([*arguments, *NO_TESTS], plugins=[NoTests()])
    for name, module in [*sys.modules.items()]:
        if getattr(module, "__file__", None) in failed:
            del sys.modules[name]
    from hypothesis import given, strategies

    given(strategies.text())(lambda text: None)()
    sys.modules["support.runs.forked_runs"].added[:] = [path for path in sys.path if path not in before]
    begun = [thread.name for thread in threading.enumerate() if thread.name not in ("MainThread", MENDED)]
    assert not begun, f"threads that begin while tests are imported are in no fork: {begun}"
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what stays is shared with the forks as long as nobody writes to it


def serve(listener: socket.socket) -> None:
    """A fork for each who asks, until this process's stdin ends."""
    import contextlib
    import select

    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        code, streams, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGINT, interrupted)
            become(code.decode(), streams)
        connection.close()
        for stream in streams:
            os.close(stream)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # what they took of the processor is this process's children's


def become(code: str, streams: list[int]) -> None:
    """What `python -u -c CODE` is with these streams. The connection stays open until it ends."""
    import atexit
    import types

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(at, how, 1, closefd=False) for at, how in enumerate("rww"))
    sys.argv = ["-c"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(code, vars(sys.modules["__main__"]))
    except SystemExit:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    atexit._run_exitfuncs()
    os._exit(0)  # tearing down all that is imported takes a second


if __name__ == "__main__":
    if not sys.argv[1].isdecimal():
        ask(sys.argv[1], sys.argv[-1])
    else:
        import_tests(sys.argv[2:])
        with socket.socket(fileno=int(sys.argv[1])) as shared:
            serve(shared)
