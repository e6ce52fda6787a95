"""The rejects file is JSON lines whatever was in the rows."""

from __future__ import annotations

import datetime as dt
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rows import row

from connector.errors import DiskError
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


def test_two_jobs_that_check_the_same_file_at_once_do_not_end_each_other(tmp_path: Path) -> None:
    def check(_: int) -> None:
        RejectsFile(tmp_path / "file").check()

    with ThreadPoolExecutor(2) as jobs:
        list(jobs.map(check, range(400)))

    assert RejectsFile(tmp_path / "file").written() is None


def test_a_link_is_followed_and_a_pipe_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    RejectsFile(tmp_path / "link").check()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    pipe = RejectsFile(tmp_path / "pipe")
    pipe.clear()
    pipe.keep_line("one\n")

    assert os.read(reader, 100) == b"one\n"
    assert (tmp_path / "pipe").is_fifo()
    assert pipe.written() is None
    os.close(reader)
