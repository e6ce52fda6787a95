"""The rejects file is JSON lines whatever was in the rows."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import row

from connector.errors import DiskError, SettingsError
from connector.ingest.rejects import RejectsFile, reject_line
from connector.ingest.sources import Row


def strict(line: str) -> Any:
    """What a strict reader of JSON makes of the line."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(line, parse_constant=refuse)


def test_a_rejected_document_is_kept_whole() -> None:
    line = reject_line(row(id="é", when=dt.date(2024, 1, 1)), "too odd")

    assert line.endswith("\n")
    assert line.isascii()
    assert json.loads(line) == {
        "reason": "too odd",
        "origin": "a.jsonl:1",
        "document": {"id": "é", "when": "2024-01-01"},
    }


def test_a_line_that_was_no_row_is_kept_raw() -> None:
    line = reject_line(Row({}, "a.jsonl:3", "not JSON", "{broken \udcff\n"), "not JSON")

    assert json.loads(line) == {"reason": "not JSON", "origin": "a.jsonl:3", "raw": "{broken \udcff\n"}


def test_what_json_lacks_is_written_as_text() -> None:
    values = {
        "price": float("nan"),
        "far": [float("-inf")],
        "raw": b"caf\xe9",
        "span": dt.timedelta(seconds=90),
        "ids": {7},
    }

    assert strict(reject_line(row(**values), "odd"))["document"] == {
        "price": "nan",
        "far": ["-inf"],
        "raw": "caf\\xe9",
        "span": "0:01:30",
        "ids": [7],
    }


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=5), anything, max_size=4), st.text())
def test_any_row_gives_one_line_of_json(values: dict[str, Any], reason: str) -> None:
    line = reject_line(Row(values, "here"), reason)

    assert line.count("\n") == 1
    assert strict(line)["reason"] == reason


def test_a_check_keeps_what_the_last_run_rejected(tmp_path: Path) -> None:
    RejectsFile(tmp_path / "new").check()
    (tmp_path / "old").write_text("kept")
    RejectsFile(tmp_path / "old").check()

    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old", "kept")]
    with pytest.raises(DiskError, match="--rejects"):
        RejectsFile(tmp_path / "nowhere" / "file").check()


def test_a_descriptor_of_a_file_without_a_name_is_a_place_too(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as opened:
        (tmp_path / "file").unlink()
        file = RejectsFile(Path(f"/dev/fd/{opened.fileno()}"))
        with file.held():
            file.keep_line("kept\n")
        kept = opened.read()

    assert kept == "kept\n"


def test_lines_of_several_that_add_at_once_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as jobs:
        list(jobs.map(lambda number: RejectsFile(tmp_path / "file").keep_line(f"{number}\n"), range(1_000)))

    assert sorted(map(int, (tmp_path / "file").read_text().split())) == list(range(1_000))


def test_two_jobs_that_check_the_same_file_at_once_do_not_end_each_other(tmp_path: Path) -> None:
    def check(_: int) -> None:
        RejectsFile(tmp_path / "file").check()

    with ThreadPoolExecutor(2) as jobs:
        list(jobs.map(check, range(400)))

    assert RejectsFile(tmp_path / "file").written() is None


def test_a_link_is_followed_and_a_pipe_stays(tmp_path: Path) -> None:
    link = RejectsFile(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    link.keep_line("of the last run\n")
    with link.held():
        link.clear()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    pipe = RejectsFile(tmp_path / "pipe")
    with pipe.held(), pipe.held():
        pipe.clear()
        pipe.keep_line("one\n")
        read = os.read(reader, 100)
        with pytest.raises(BlockingIOError):  # which says that more may come
            os.read(reader, 100)

    at_end = os.read(reader, 100)
    os.close(reader)
    with pytest.raises(DiskError, match="nobody reads it"), pipe.held():
        pass
    with pytest.raises(DiskError, match="nobody reads it"):
        pipe.keep_line("for nobody\n")

    assert (read, at_end) == (b"one\n", b"")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert (pipe.written(), link.written()) == (None, None)


HOLDING = """
import sys, time
from pathlib import Path
from connector.ingest.rejects import RejectsFile
file = RejectsFile(Path(sys.argv[1]))
with file.held():
    file.clear()
    file.keep_line("of the first job\\n")
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_file_is_one_job_s_at_a_time_and_no_longer_than_its_process(tmp_path: Path) -> None:
    path = tmp_path / "rejects"
    path.write_text("of the last run\n")
    (tmp_path / "link").symlink_to(path)
    first = subprocess.Popen([sys.executable, "-c", HOLDING, str(path)], stdout=subprocess.PIPE)
    try:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        for name in ("rejects", "link"):
            second = RejectsFile(tmp_path / name)
            second.check()
            with pytest.raises(SettingsError, match=r"name another file: --rejects") as refused, second.held():
                pass
            assert re.search(rf"{name} is in use by (process {first.pid}|another process),", str(refused.value))
        with RejectsFile(tmp_path / "another").held():
            pass
    finally:
        first.kill()
        first.communicate()
    with second.held():
        kept = path.read_text()
        second.clear()

    assert kept == "of the first job\n"
    with RejectsFile(path).held():
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["link"]
    assert RejectsFile(path).written() is None


def test_of_two_jobs_that_take_a_file_at_once_one_has_it(tmp_path: Path) -> None:
    """Whatever the other takes away in that moment, for want of anything in it."""
    file, inside = tmp_path / "file", threading.Semaphore(1)

    def take(_: int) -> bool:
        try:
            with RejectsFile(file).held():
                assert inside.acquire(blocking=False)
                assert file.exists()
                inside.release()
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(2) as jobs:
        taken = list(jobs.map(take, range(400)))

    assert any(taken)
    assert not file.exists()


def test_jobs_that_only_add_share_a_file_which_the_last_one_takes_away(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "file")
    with file.held(shared=True):
        with file.held(shared=True):
            pass
        with pytest.raises(SettingsError, match="is in use by"), file.held():
            pass
        is_there = (tmp_path / "file").exists()
    is_left = (tmp_path / "file").exists()
    with file.held(), pytest.raises(SettingsError, match="is in use by"), file.held(shared=True):
        pass

    assert (is_there, is_left) == (True, False)
