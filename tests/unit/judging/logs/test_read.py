"""Logs are recognised by their first lines, and read to their end whatever is between."""

from __future__ import annotations

import bz2
import gzip
import os
import threading
from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.judging.logs.outcome import SearchedFor, Unreadable
from connector.judging.logs.read import LogOptions, QueryLog
from connector.judging.logs.rows import Columns

ACCESS = '203.0.113.7 - - [29/Nov/2026:16:58:17 +0000] "GET /search?q=red+shoes HTTP/1.1" 200 512'
SLOW = (
    '[2026-11-29T16:58:17,288][WARN ][i.s.s.query] [n1] [shop][0] took[74ms], source[{"query":{"match":{"a":"deal"}}}]'
)


def texts(log: QueryLog) -> list[str]:
    return [entry.outcome.text for entry in log if isinstance(entry.outcome, SearchedFor)]


@pytest.mark.parametrize(
    ("name", "content", "kind", "found"),
    [
        ("a.log", f"{ACCESS}\n-\n{ACCESS}\n", "access", ["red shoes", "red shoes"]),
        ("a.log", f"[2026-11-29T16:46:10,901][INFO ][o.n.Node] [n1] started\n{SLOW}\n", "slowlog", ["deal"]),
        ("a.json", '{"q": "a"}\n{"q": "b"}\n', "json", ["a", "b"]),
        ("a.json", '[\n {"q": "a"},\n {"q": "b"}\n]\n', "json", ["a", "b"]),
        ("a.json", '{\n "hits": {"hits": [\n {"_source": {"user_query": "a"}}]}\n}\n', "json", ["a"]),
        ("a.txt", "query,count\na,3\nb,4\n", "csv", ["a", "b"]),
        ("a.csv", "Search term;Searches\na;3\n", "csv", ["a"]),
        ("a.tsv", "query\tcount\na\t3\n", "csv", ["a"]),
        ("a.csv", 'query\n"a, b"\nc\n', "csv", ["a, b", "c"]),
        ("a.txt", "      3 red shoes\n   1204 hats\n", "counted", ["red shoes", "hats"]),
        ("a.txt", "red shoes\n\n2024 hats\r\n", "lines", ["red shoes", "2024 hats"]),
        ("a.txt", "\ufeffred shoes\n", "lines", ["red shoes"]),
        ("a.txt", "", "lines", []),
    ],
)
def test_the_format_is_recognised(name: str, content: str, kind: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    log = QueryLog(str(tmp_path / name), LogOptions())

    assert log.kind == kind
    assert texts(log) == found
    assert log.progress == 1.0


def test_packed_logs_and_other_encodings_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(f"{ACCESS}\n".encode()))
    (tmp_path / "b").write_bytes(bz2.compress(b'{"q": "a"}\n'))
    (tmp_path / "c.csv").write_bytes("query,count\nschlüssel,3\n".encode("utf-16"))

    assert texts(QueryLog(str(tmp_path / "a.log.1.gz"), LogOptions())) == ["red shoes"]
    assert texts(QueryLog(str(tmp_path / "b"), LogOptions())) == ["a"]
    assert texts(QueryLog(str(tmp_path / "c.csv"), LogOptions())) == ["schlüssel"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "queries"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("red shoes\nhats\n",))
    writer.start()
    found = texts(QueryLog(str(pipe), LogOptions()))
    writer.join()

    assert found == ["red shoes", "hats"]


def test_a_dash_is_what_is_piped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queries").write_text("query,count\nred shoes,3\n")
    with open(tmp_path / "queries") as piped:
        monkeypatch.setattr("sys.stdin", piped)
        log = QueryLog("-", LogOptions())
        found = texts(log)

    assert (log.name, log.kind, found) == ("stdin", "csv", ["red shoes"])


def test_what_cannot_be_read_is_given_with_its_line_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"q": "a"}\n{"q": \n{"q": "b"}\n{"title": "c"}\n')
    (tmp_path / "a.txt").write_bytes(b"a\nschl\xfcssel\nb\n" + b"x" * 2_200_000 + b"\nc\n")
    rows = list(QueryLog(str(tmp_path / "a.json"), LogOptions()))
    lines = list(QueryLog(str(tmp_path / "a.txt"), LogOptions()))
    broken = [entry for entry in [*rows, *lines] if isinstance(entry.outcome, Unreadable)]

    assert [entry.origin for entry in broken] == ["a.json:2", "a.json:4", "a.txt:2", "a.txt:4"]
    assert "iconv" in broken[2].outcome.reason
    assert len(rows) + len(lines) == 9


def test_a_column_is_read_on_behind_a_line_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"query\nhats\nschl\xfcssel\nshoes\n")
    entries = list(QueryLog(str(tmp_path / "a.csv"), LogOptions()))

    assert [entry.origin for entry in entries if isinstance(entry.outcome, Unreadable)] == ["a.csv:3"]
    assert [entry.outcome.text for entry in entries if isinstance(entry.outcome, SearchedFor)] == ["hats", "shoes"]


def test_a_device_is_no_log() -> None:
    with pytest.raises(SourceError, match="/dev/null is no regular file but a device"):
        QueryLog("/dev/null", LogOptions())


def test_a_flag_says_the_format_and_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("term,query\nhats,shoes\n")
    lines = QueryLog(str(tmp_path / "a.txt"), LogOptions(kind="lines"))
    column = QueryLog(str(tmp_path / "a.txt"), LogOptions(columns=Columns("term")))

    assert texts(lines) == ["term,query", "hats,shoes"]
    assert texts(column) == ["hats"]


@pytest.mark.parametrize(
    ("name", "content", "columns", "reason"),
    [
        ("a.csv", b"title,price\nhat,3\n", Columns(), "title, price.*--column"),
        ("a.csv", b"query,price\nhat,3\n", Columns("term"), "no column 'term'; it has query, price"),
        ("a.txt", b"hat\t3\nshoe\t4\n", Columns(), "without names"),
        ("a.log", b"PK\x03\x04rest of it", Columns(), "a zip archive"),
        ("a.gz", gzip.compress(b"a\n" * 9000, mtime=0)[:-40], Columns(), "cut off"),
    ],
)
def test_a_log_that_cannot_be_read_at_all_is_refused(
    name: str, content: bytes, columns: Columns, reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=reason):
        list(QueryLog(str(tmp_path / name), LogOptions(columns=columns)))


def test_a_folder_and_nothing_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        QueryLog(str(tmp_path), LogOptions())
    with pytest.raises(SourceError, match="No such file"):
        QueryLog(str(tmp_path / "none.log"), LogOptions())


def test_utf_16_that_does_not_say_so_gives_no_queries_with_holes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("red shoes\nhats\n".encode("utf-16-le"))
    entries = [*QueryLog(str(tmp_path / "a.txt"), LogOptions())]

    assert not [entry for entry in entries if isinstance(entry.outcome, SearchedFor)]
    assert isinstance(entries[0].outcome, Unreadable)
    assert "iconv -f UTF-16LE" in entries[0].outcome.reason


def test_what_cannot_be_used_is_shown_as_it_stood(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("query,count\nred shoes,-4\nhats,2\n")
    (tmp_path / "b.txt").write_text("x" * 2**20 + "\nhats\n")

    assert next(iter(QueryLog(str(tmp_path / "a.csv"), LogOptions()))).raw == "query: red shoes, count: -4"
    assert next(iter(QueryLog(str(tmp_path / "b.txt"), LogOptions()))).raw == "x" * 80
