"""A text file is written whole or not at all: what reads it, also after a full disk or a kill, never sees half of
one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, lines: Iterable[str]) -> None:
    """Put these lines, with their ends, in the place of what the file holds. On disk when it returns.

    Raises OSError; the file then is as it was."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")  # several may write at once
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:  # an interrupt too; it is raised again
        with suppress(OSError):
            partial.unlink()
        raise
