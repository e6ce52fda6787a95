"""Who has a file, as the system tells it. That a lock ends with its process is tested where jobs take one: of the files
of rejects, and of a training's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


def test_who_has_a_file_is_read_from_the_system_s_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux writes it; there are machines, as in a sandbox, whose table stays empty."""
    opened = os.open(tmp_path, os.O_RDONLY)
    about = os.fstat(opened)
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}"
    monkeypatch.setattr("connector.file_locks.LOCKS", tmp_path / "locks")
    is_told = holder(opened)
    (tmp_path / "locks").write_text(
        f"1: POSIX  ADVISORY  WRITE 11 {place}:{about.st_ino} 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 12 {place}:{about.st_ino}1 0 EOF\n"
        f"3: FLOCK  ADVISORY  WRITE 13 {place}:{about.st_ino} 0 EOF\n"
        f"3: -> FLOCK  ADVISORY  WRITE 14 {place}:{about.st_ino} 0 EOF\n"
    )
    held_by = holder(opened)
    os.close(opened)

    assert (is_told, held_by) == ("another process", "process 13")


def test_a_file_that_knows_no_locks_is_everybody_s() -> None:
    closed = os.open(os.devnull, os.O_RDONLY)
    os.close(closed)

    assert take(closed)  # refused by the kernel for another reason than that somebody has it
