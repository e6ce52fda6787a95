"""Who has a file, as the system tells it. That a lock ends with its process is tested where jobs take one: of the files
of rejects, and of a training's folder."""

from __future__ import annotations

import os
from pathlib import Path

from connector.file_locks import holder, take


def test_what_is_taken_is_nobody_else_s_until_it_is_closed(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    taken = take(first), take(second)
    held_by = holder(second)
    os.close(first)

    assert taken == (True, False)
    assert held_by in (f"process {os.getpid()}", "another process")  # a store may be known by another number there
    assert holder(second) == "another process"
    assert take(second)
    os.close(second)
