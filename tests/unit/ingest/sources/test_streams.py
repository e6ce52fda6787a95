"""What a source is read through: gzip, named pipes and standard input."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.sources import Row, open_source


def test_gzip_is_read_as_it_goes(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"id": 1}\n{"id": 2}\n')))

    assert rows == [Row({"id": 1}, "a.jsonl.gz:1"), Row({"id": 2}, "a.jsonl.gz:2")]


def numbered(name: str, rows: int) -> bytes:
    """Rows of two fields, as JSON Lines or CSV by the file's name."""
    pairs = [(number, f"text {number * 7919}") for number in range(rows)]
    if ".jsonl" in name:
        return "".join(json.dumps({"id": left, "text": right}) + "\n" for left, right in pairs).encode()
    return ("id,text\n" + "".join(f'{left},"{right}"\n' for left, right in pairs)).encode()


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.jsonl.bz2", "a.csv.xz"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.999])
def test_a_compressed_file_that_is_cut_off_gives_its_whole_rows_and_then_the_error(
    tmp_path: Path, name: str, share: float
) -> None:
    whole = numbered(name, 9_000)
    data = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[Path(name).suffix](whole)
    found: list[Row] = []

    with pytest.raises(SourceError, match=r"cut off .*fetch or pack the file again"):
        found.extend(open_source(str(write(tmp_path / name, data[: int(len(data) * share)]))))

    assert [int(row.values["id"]) for row in found] == list(range(len(found)))
    assert all(row.values["text"] == f"text {int(row.values['id']) * 7919}" for row in found)
    assert name.endswith(("bz2", "xz")) or len(found) > 9_000 * share * 0.8


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz"])
@pytest.mark.parametrize("spoil", ["bytes", "hole", "checksum", "no gzip"])
def test_a_compressed_file_that_is_damaged_gives_no_rubbish(tmp_path: Path, name: str, spoil: str) -> None:
    data = bytearray(gzip.compress(numbered(name, 9_000)))
    if spoil == "bytes":
        data[3_000:3_010] = b"\xff" * 10
    elif spoil == "hole":
        del data[3_000:3_500]
    elif spoil == "checksum":
        data[-8] ^= 1
    else:
        data[:2] = b"\0\0"
    found: list[Row] = []

    with pytest.raises(SourceError, match=r"a\.\w+\.gz is damaged"):
        found.extend(open_source(str(write(tmp_path / name, bytes(data)))))

    assert found == []


@pytest.mark.parametrize(("name", "packed"), [("a.jsonl.gz", False), ("a.jsonl", True), ("a.csv", True)])
def test_what_is_packed_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path, name: str, packed: bool) -> None:
    plain = numbered(name, 3)

    assert len(read(write(tmp_path / name, gzip.compress(plain) if packed else plain))) == 3


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"PK\x03\x04" + b"\0" * 100, "a zip archive, which Excel and Word files are too"),
        ("a.jsonl", b"PAR1" + b"\0" * 100, "a Parquet file"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), r"bytes that are packed \(\.gz\)"),
        ("a.tsv", b"%PDF-1.7\n", "a PDF"),
        ("a.csv", b'{"id": 1, "text": "a"}\n', "holds JSON, whatever its name says"),
        ("a.csv", b'[{"id": 1, "text": "a"}]\n', "holds JSON"),
    ],
)
def test_a_file_that_is_something_else_than_its_name_says_is_told_so(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read(write(tmp_path / name, data))


def test_what_follows_a_whole_gzip_file_is_an_error_after_its_rows(tmp_path: Path) -> None:
    found: list[Row] = []

    with pytest.raises(SourceError, match="Not a gzipped file"):
        found.extend(open_source(str(write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"id": 1}\n') + b"<html>"))))

    assert values(found) == [{"id": 1}]


def write_in_background(pipe: Path, data: bytes) -> threading.Thread:
    """What a program at the other end of a pipe does: it waits until somebody reads."""
    writer = threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    return writer


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pipe", numbered("pipe.jsonl", 5_000)),
        ("pipe.jsonl", numbered("pipe.jsonl", 5_000)),
        ("pipe.csv", numbered("pipe.csv", 5_000)),
        ("pipe.csv.gz", gzip.compress(numbered("pipe.csv", 5_000), mtime=0)),
    ],
)
def test_a_named_pipe_is_read_and_can_be_begun_again(tmp_path: Path, name: str, data: bytes) -> None:
    os.mkfifo(tmp_path / name)
    writer = write_in_background(tmp_path / name, data)
    source = open_source(str(tmp_path / name))

    first = list(islice(source, 200))
    whole = list(source)
    writer.join()

    assert [int(row.values["id"]) for row in whole] == list(range(5_000))
    assert whole[:200] == first
    assert list(source) == whole  # though another program could write to the pipe by now
    assert source.progress == 1.0


@pytest.mark.parametrize("name", ["a.parquet", "a.md", "a.pdf"])
def test_a_pipe_of_a_kind_that_needs_a_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)

    with pytest.raises(SourceError, match="named pipe, through which only JSON Lines, CSV and TSV"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("location", ["-", "/dev/stdin"])
def test_standard_input_is_json_lines(location: str) -> None:
    program = (
        "from connector.ingest.sources import open_source; "
        f"source = open_source({location!r}); next(iter(source)); print([row.origin for row in source])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], input='{"id": 1}\n{"id": 2}\n', capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "['stdin:1', 'stdin:2']", done.stderr
