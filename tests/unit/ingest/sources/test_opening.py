"""Any location becomes a source or an error that says what it is."""

from __future__ import annotations

import contextlib
import gc
import gzip
import os
import stat
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.sources import open_source


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, name: str) -> None:
    text = '{"id": "1", "t": "x"}' if name == "a.jsonl" else "id,t\n1,x\n"

    assert values(read(write(tmp_path / name, b"\xef\xbb\xbf" + text.encode()))) == [{"id": "1", "t": "x"}]


def test_reading_only_the_first_rows_leaves_nothing_open(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source = open_source(str(write(tmp_path / "a.csv", "id,text\n" + "1,x\n" * 2_000)))

    first = list(islice(source, 3))
    gc.collect()

    assert len(first) == 3
    litter = [warning for warning in recwarn.list if str(tmp_path) in str(warning.message)]  # of this test alone
    assert not litter


def test_a_source_can_be_read_twice(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "a.jsonl", '{"id": 1}\n{"id": 2}\n')))

    assert list(source) == list(source)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv"])
def test_progress_grows_to_the_whole(tmp_path: Path, name: str) -> None:
    text = "id,text\n" + "1,x\n" * 200 if name == "a.csv" else '{"id": 1}\n' * 200
    source = open_source(str(write(tmp_path / name, gzip.compress(text.encode()) if name.endswith("gz") else text)))

    steps = [source.progress for _ in source]

    assert steps == sorted(steps)
    assert 0 <= steps[0] <= steps[-1] <= source.progress == 1.0


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus(tmp_path: Path, name: str) -> None:
    line = b'{"_id": "1", "title": "T", "text": "x"}\n'
    write(tmp_path / name, gzip.compress(line) if name.endswith("gz") else line)
    write(tmp_path / "readme.md", "# not a document")

    assert values(read(tmp_path)) == [{"_id": "1", "title": "T", "text": "x"}]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no"):
        open_source(str(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("location", ["a\0b", "x" * 5_000, "~nobody-of-that-name/a.csv"])
def test_a_path_that_cannot_be_is_refused(location: str) -> None:
    with pytest.raises(SourceError, match=r"cannot open|there is no"):
        open_source(location)


def test_a_link_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("a.csv")

    with pytest.raises(SourceError, match="Too many levels of symbolic links"):
        open_source(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("kind", ["a socket", "a device"])
def test_what_is_no_file_is_refused_by_what_it_is(tmp_path: Path, kind: str) -> None:
    if kind == "a socket":
        os.mknod(tmp_path / "a.csv", stat.S_IFSOCK | 0o600)
    else:
        (tmp_path / "a.csv").symlink_to("/dev/zero")

    with pytest.raises(SourceError, match=f"is no regular file but {kind}"):
        open_source(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["a.xlsx", "a", ".gz", "a.gz", "a.md.gz"])
def test_a_file_of_no_known_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="of no known kind"):
        open_source(str(write(tmp_path / name, "x")))


@given(
    data=st.binary(max_size=200),
    name=st.sampled_from(["f.jsonl", "f.csv", "f.tsv", "f.jsonl.gz", "f.parquet", "f.md", "f.html"]),
)
def test_any_bytes_are_rows_or_a_source_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    with contextlib.suppress(SourceError):
        for row in read(write(tmp_path_factory.getbasetemp() / name, data)):
            assert row.origin.startswith(name)
