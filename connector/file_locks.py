"""A file or folder that is one process's alone while it works there. The lock is the kernel's: it ends with whoever has
it, however that ends, and no kill leaves one behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCKS = Path("/proc/locks")


def take(opened: int, *, shared: bool = False) -> bool:
    """Whether what is open as `opened` is ours now, until that is closed; not, where somebody else has it. It may be
    `shared` with others who want it so.

    What cannot be locked is everybody's: on Windows any file, elsewhere those of a file system without locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(opened, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def holder(opened: int) -> str:
    """Who has what is open as `opened`, in words; by its number where the system tells, as Linux does."""
    about = os.fstat(opened)
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    try:
        locks = [line.split() for line in LOCKS.read_text(encoding="ascii").splitlines()]
    except OSError:
        locks = []
    for _, kind, _, _, process, where, *_ in locks:  # of one that waits, an arrow comes before the kind
        if (kind, where) == ("FLOCK", place):
            return f"process {process}"
    return "another process"
