"""What a busy machine withholds: a test that holds something against the clock allows for it."""

from __future__ import annotations

import os
from pathlib import Path

QUEUED, STOLEN = Path("/proc/thread-self/schedstat"), Path("/proc/stat")


def withheld_s() -> float:
    """For how long in all this thread could have run and did not: other threads had the processors, or other machines
    had those of this one. Nothing where the system does not say so."""
    try:
        queued_ns, stolen = int(QUEUED.read_text().split()[1]), int(STOLEN.read_text().split()[8])
    except (OSError, IndexError):
        return 0.0
    return queued_ns / 1e9 + stolen / os.sysconf("SC_CLK_TCK")
