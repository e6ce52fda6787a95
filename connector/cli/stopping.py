"""SIGINT and SIGTERM, from the first moment of a command on: one line that says what is kept, and exit code 128 + N.

Imports next to nothing, so that it is in place before all else is imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

GRACE_S = 20  # for what has to be put away; a worker of the command's own gets 15 of them
SERVED = "what it had accepted was answered, or told to come again"  # of a command that serves
SHOW_CURSOR = "\x1b[?25h"
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopping:
    """The signal that this process was stopped by, None until then, and what its line says."""

    number: signal.Signals | None = None
    kept = "nothing was changed"


def say_when_stopped(kept: str) -> None:
    """What is kept, and how to go on, in the line of a command that is stopped from now on."""
    Stopping.kept = kept


def catch_signals() -> None:
    """Let SIGINT and SIGTERM end this process in order: SystemExit where it is at work, which every `finally` sees.

    A second signal ends it at once, and so does the first one during an import, since a module that is half imported
    may catch what is raised in it. Also where this is the first process of a container, which the default would not
    end."""
    for number in NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN or number is signal.SIGTERM:
            signal.signal(number, _stop)


def exit_code() -> int:
    """128 + N where signal N stopped this process, which it says now; 0 where none did."""
    if Stopping.number is None:
        return 0
    _say(Stopping.number)
    return 128 + Stopping.number


def _stop(number: int, frame: FrameType | None) -> None:
    is_second = Stopping.number is not None
    Stopping.number = Stopping.number or signal.Signals(number)
    if is_second or (_is_importing(frame) and not _has_children()):
        _end_at_once()
    sys.unraisablehook = _ignore  # what the end of this one leaves behind says nothing to its user
    signal.signal(signal.SIGALRM, lambda *_: _end_at_once())
    signal.alarm(GRACE_S)
    raise SystemExit(128 + number)


def _end_at_once() -> None:
    code = exit_code()
    sys.stdout.flush()
    os._exit(code)  # threads that are still at work are not waited for


def _say(number: signal.Signals) -> None:
    text = f"stopped by {NAMES.get(number, number.name)}: {Stopping.kept}"
    # where a command logs at all, the module has been imported as a whole
    log_as_json = getattr(sys.modules.get("connector.logs"), "log_as_json", lambda text: False)
    if not log_as_json(text):
        is_terminal = sys.stderr.isatty()
        print(f"{SHOW_CURSOR}\r{text}" if is_terminal else text, file=sys.stderr, flush=True)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and "importlib._bootstrap" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def _has_children() -> bool:
    """Whether there is a process that only we would end."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _ignore(problem: Any) -> None:
    pass
