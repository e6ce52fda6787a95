"""CSV and TSV as sources: headers, quotes, encodings, and lines that are wrong."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.sources import Row, open_source

UNCLOSED = "a quote that opens here is not closed"


def test_csv_takes_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.csv", 'id,text\r\n1,"a ""quoted"", word\nover two lines"\r\n2,plain\r\n'))

    assert values(rows) == [{"id": "1", "text": 'a "quoted", word\nover two lines'}, {"id": "2", "text": "plain"}]
    assert [row.origin for row in rows] == ["a.csv:3", "a.csv:4"]


def test_an_empty_cell_is_a_missing_value(tmp_path: Path) -> None:
    assert values(read(write(tmp_path / "a.csv", "id,text,year\n1,,2\n"))) == [{"id": "1", "year": "2"}]


def test_files_that_were_joined_repeat_no_header_and_no_mark(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "a.csv", "\ufeffid,text\n1,a\n\ufeffid, text\n2,b\n\ufeff3,c\n")))

    assert values(list(source)) == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}, {"id": "3", "text": "c"}]
    assert dict(source.notes) == {"lines that repeat the header are passed over": 1}


def test_tsv_is_split_by_tabs(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.tsv.gz", gzip.compress(b"id\ttext\n1\ta, b\n")))

    assert values(rows) == [{"id": "1", "text": "a, b"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(tmp_path: Path, end: str) -> None:
    rows = read(write(tmp_path / "a.csv", end.join(["id,text", "1,x", "", "2,y", ""])))

    assert rows == [Row({"id": "1", "text": "x"}, "a.csv:2"), Row({"id": "2", "text": "y"}, "a.csv:4")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_an_encoding_that_a_mark_tells_is_read(tmp_path: Path, encoding: str) -> None:
    assert values(read(write(tmp_path / "a.csv", "id,text\n1,Zoë\n".encode(encoding)))) == [{"id": "1", "text": "Zoë"}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty; its first line must name the columns"),
        (b"\n\n", "is empty"),
        (b"id\n1\n", "has 1 column; its first line must name the columns, split by ','"),
        (b'"id"x,text\n1,2\n', "is no CSV"),
        ("id,tëxt\n1,2\n".encode("latin-1"), "line 1 of a.csv, the header, is not UTF-8; convert it"),
        ("id,text\n1,2\n".encode("utf-16-le"), "null bytes in its first line; if it is UTF-16"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read(write(tmp_path / "a.csv", data))


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "id,text")) == []


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.csv", "id;text\n1;a, b\n", "the columns are split by ';', not by ','"),
        ("a.csv", '"id";"text"\n1;"a, b"\n', "the columns are split by ';', not by ','"),
        ("a.csv", "id\ttext\n1\ta, b\n", "the columns are split by '\\t', not by ','"),
        ("a.tsv", "id|text\n1|a, b\n", "the columns are split by '|', not by '\\t'"),
        ("a.csv", "sep=;\nid;text\n1;a, b\n", None),
    ],
)
def test_what_the_header_has_between_its_names_splits_the_rows(
    tmp_path: Path, name: str, text: str, note: str | None
) -> None:
    source = open_source(str(write(tmp_path / name, text)))

    assert values(list(source)) == [{"id": "1", "text": "a, b"}]
    assert list(source.notes) == ([note] if note else [])


@pytest.mark.parametrize(
    ("header", "names", "notes"),
    [
        ("id,note,note", ["id", "note", "note_2"], ["column 3 is named 'note', as another is; it is read as 'note_2'"]),
        (
            "note,note_2,note",
            ["note", "note_2", "note_3"],
            ["column 3 is named 'note', as another is; it is read as 'note_3'"],
        ),
        (
            "note,note,note_2",
            ["note", "note_3", "note_2"],
            ["column 2 is named 'note', as another is; it is read as 'note_3'"],
        ),
        (",id,text", ["column_1", "id", "text"], ["column 1 has no name; it is read as 'column_1'"]),
        ("column_2,,x", ["column_2", "column_4", "x"], ["column 2 has no name; it is read as 'column_4'"]),
        (" id , text ,x", ["id", "text", "x"], []),
    ],
)
def test_every_column_has_a_name_of_its_own(tmp_path: Path, header: str, names: list[str], notes: list[str]) -> None:
    source = open_source(str(write(tmp_path / "a.csv", f"{header}\n1,2,3\n")))

    assert values(list(source)) == [dict(zip(names, "123", strict=True))]
    assert dict(source.notes) == dict.fromkeys(notes, 1)


@pytest.mark.parametrize(("line", "cells"), [("1", 1), ("1,x,y", 3), ("1,x,", 3)])
def test_a_line_of_another_width_is_an_error(tmp_path: Path, line: str, cells: int) -> None:
    bad, good = read(write(tmp_path / "a.csv", f"id,text\n{line}\n2,x\n"))

    assert bad == Row({}, "a.csv:2", f"the line has {cells} cells, the header has 2", f"{line}\n")
    assert good.values == {"id": "2", "text": "x"}


def test_a_line_that_is_not_utf8_is_an_error_and_the_rest_is_read_on(tmp_path: Path) -> None:
    bad, good = read(write(tmp_path / "a.csv", b"id,text\n1,\xe9\n2,x\n"))

    assert (bad.error or "").startswith("the line is not UTF-8; convert it")
    assert bad.raw == "1,\\xe9\n"
    assert good.values == {"id": "2", "text": "x"}


def test_a_quote_within_a_line_that_is_wrong_costs_that_line(tmp_path: Path) -> None:
    bad, good = read(write(tmp_path / "a.csv", 'id,text\n1,"a"b\n2,x\n'))

    assert "not CSV" in (bad.error or "")
    assert bad.raw == '1,"a"b\n'
    assert good.values == {"id": "2", "text": "x"}


@pytest.mark.parametrize(
    "bad",
    [
        'l2,"open to the end,hall',
        'l2,"open, with a comma,hall',
        '"l2,first cell,hall',
        'l2,text,"hall',
        'l2,"open ""quoted"" words,hall',
    ],
)
@pytest.mark.parametrize("behind", [[], ['l5,"quoted well",kitchen'], ["l5,plain,kitchen", 'l6,"a ""b""",attic']])
def test_a_quote_that_is_not_closed_costs_its_line(tmp_path: Path, bad: str, behind: list[str]) -> None:
    good = ["l1,green,study", "l3,on the porch,porch", "l4,clips to a book,bedroom", *behind]
    lines = ["id,text,room", good[0], bad, *good[1:]]

    rows = read(write(tmp_path / "lamps.csv", "".join(f"{line}\n" for line in lines)))

    assert [row.values["id"] for row in rows if not row.error] == [line.split(",")[0] for line in good]
    assert [row for row in rows if row.error] == [Row({}, "lamps.csv:3", UNCLOSED, f"{bad}\n")]


def test_two_quotes_that_are_not_closed_cost_two_lines(tmp_path: Path) -> None:
    lines = ["id,text,room", 'a,"open,x', "b,plain,x", 'c,"open,x', "d,plain,x", "e,plain,x"]

    rows = read(write(tmp_path / "a.csv", "\n".join(lines)))

    assert [row.values.get("id") for row in rows] == [None, "b", None, "d", "e"]
    assert [row.origin for row in rows if row.error] == ["a.csv:2", "a.csv:4"]


def test_prose_behind_an_open_quote_is_kept_in_one_piece(tmp_path: Path) -> None:
    prose = ['2,"A poem,x', "whose lines, all, have many, commas", "or none", "and no end"]

    good, bad = read(write(tmp_path / "a.csv", "\n".join(["id,text,room", "1,plain,x", *prose])))

    assert good.values["id"] == "1"
    assert bad == Row({}, "a.csv:3", f"{UNCLOSED}; it runs on to line 6", "\n".join(prose))


def test_a_cell_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.ingest.sources.delimited.MAX_CELL_CHARS", 10_000)
    lines = ["id,text", '0,"open', *(f"{number},text" for number in range(1, 9_000))]

    rows = read(write(tmp_path / "a.csv", "\n".join(lines)))

    assert [row.origin for row in rows if row.error] == ["a.csv:2"]
    assert len(rows) == 9_000


def test_null_bytes_and_long_cells_pass(tmp_path: Path) -> None:
    long = "x" * 300_000

    assert values(read(write(tmp_path / "a.csv", f"id,text\n1,a\0b\n2,{long}\n"))) == [
        {"id": "1", "text": "a\0b"},
        {"id": "2", "text": long},
    ]


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text("a\"',\n\r\t ;é|", max_size=8)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    written=st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_MINIMAL, "\r\n")]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_csv_can_say_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    written: tuple[int, str],
    encoding: str,
) -> None:
    header, out = ("left", "middle", "right"), io.StringIO()
    csv.writer(out, quoting=written[0], delimiter=delimiter, lineterminator=written[1]).writerows([header, *rows])
    path = write(tmp_path_factory.getbasetemp() / "round.csv", out.getvalue().encode(encoding))

    assert values(read(path)) == [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]


@given(st.lists(st.text("ab,\"\n'\r", max_size=12), max_size=6))
def test_every_line_is_in_a_row_or_in_a_reject(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    text = "id,text\n" + "\n".join(lines)
    path = write(tmp_path_factory.getbasetemp() / "any.csv", text)

    rows = read(path)

    kept = "".join("".join(row.values.values()) + (row.raw or "") for row in rows)
    assert sorted(kept.replace(",", "").replace('"', "").split()) or not text[8:].strip(',"\n\r')
    assert [letter for letter in kept if letter in "ab'"] == [letter for letter in text[8:] if letter in "ab'"]
