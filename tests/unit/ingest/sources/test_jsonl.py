"""JSON lines, objects over several lines, and arrays as sources, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.sources import Row, open_source
from connector.ingest.sources import jsonl as jsonl_reader

TWO = [{"id": "w1", "text": "grinds rye"}, {"id": "w2", "text": "grinds wheat"}]


def test_json_lines_are_rows_that_know_their_line(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", '{"id": 1}\n\n  \n{"id": "é"}'))

    assert rows == [Row({"id": 1}, "a.jsonl:1"), Row({"id": "é"}, "a.jsonl:4")]


def test_a_mark_in_the_middle_of_joined_files_is_no_part_of_a_line(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", '\ufeff{"id": 1}\n\ufeff{"id": 2}\n\ufeff'))

    assert rows == [Row({"id": 1}, "a.jsonl:1"), Row({"id": 2}, "a.jsonl:2")]


def test_an_array_among_lines_costs_no_other_line(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", '{"id": 1}\n[{"id": 2}]\n{id: 3}\n{"id": 4}\n'))

    assert values(rows) == [{"id": 1}, {}, {}, {"id": 4}]
    assert rows[1].error == "the line is not a JSON object but an array"


@pytest.mark.parametrize("name", ["a.ndjson", "A.JSONL", "a.b.jsonl", "a.json"])
def test_json_lines_go_by_several_names(tmp_path: Path, name: str) -> None:
    assert values(read(write(tmp_path / name, '{"id": 1}\r\n{"id": 2}'))) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_json_is_read_in_every_encoding_that_its_first_bytes_tell(tmp_path: Path, encoding: str) -> None:
    text = '{"id": "w1", "text": "Müller 𝄞"}\n{"id": "w2"}\n'

    rows = read(write(tmp_path / "a.jsonl", text.encode(encoding)))

    assert rows == [Row({"id": "w1", "text": "Müller 𝄞"}, "a.jsonl:1"), Row({"id": "w2"}, "a.jsonl:2")]


def test_utf16_that_ends_within_a_character_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.jsonl to its end, it stops within a character"):
        read(write(tmp_path / "a.jsonl", '{"id": "w1"}\n{"id"'.encode("utf-16") + b"\x00"))


def test_a_line_that_is_not_utf8_is_an_error_and_the_rest_is_read_on(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", b'{"id": 1}\n{"id": "\xff"}\n{"id": 3}\n'))

    assert values(rows) == [{"id": 1}, {}, {"id": 3}]
    assert rows[1].error == "the line is not UTF-8 (byte 8); convert it, e.g. iconv -f LATIN1 -t UTF-8 OLD > NEW"
    assert rows[1].raw == '{"id": "\\xff"}\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{id: 1}", "not JSON"),
        ('{"id": NaN}', "NaN is no JSON number; write null"),
        ('{"id": -Infinity}', "-Infinity is no JSON number"),
        ('{"id": 1e999}', "1e999 is beyond the numbers"),
        ("[1, 2]", "not a JSON object but an array"),
        ('"text"', "not a JSON object but a string"),
        ("7", "not a JSON object but a number"),
        ("null", "not a JSON object but null"),
        ('{"id": 1, "text": "a", "text": "b"}', "the key 'text' is there twice, with two values"),
        ('{"id": 1, "inner": {"a": 1, "a": 2}}', "the key 'a' is there twice"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        ('{"id": ' + "[" * 101 + "]" * 101 + "}", "nested deeper than 100 levels"),
        ('{"id": ' + "9" * 5_000 + "}", "a number of 5000 digits is beyond"),
        ('{"id": -' + "9" * 309 + "}", "a number of 309 digits is beyond"),
        ('{"id": ' + "9" * 309 + ".5}", "9.5 is beyond the numbers"),
        ('{"id": 1', "not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_keeps_what_was_there(tmp_path: Path, line: str, words: str) -> None:
    bad, good = read(write(tmp_path / "a.jsonl", f'{line}\n{{"id": 2}}\n'))

    assert words in (bad.error or "")
    assert (bad.raw or "").strip() == line
    assert good == Row({"id": 2}, "a.jsonl:2")


def test_what_only_looks_deep_or_doubled_or_long_is_read(tmp_path: Path) -> None:
    row = {"id": 1, "brackets": "[" * 200 + '"{', "flat": [[1]] * 200, "digits": "9" * 1_000, "code": "1e999"}
    row |= {"lowest": -int("9" * 308), "highest": 1.7e308}
    line = json.dumps(row)[:-1] + ', "id": 1}'

    assert values(read(write(tmp_path / "a.jsonl", line))) == [row]


def test_a_line_beyond_any_size_is_an_error_and_the_rest_is_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl_reader, "MAX_VALUE_BYTES", 1 << 20)
    path = write(tmp_path / "a.jsonl", '{"id": 0}\n{"id": "' + "x" * (3 << 20) + '"}\n{"id": 2}\n')

    first, long, last = read(path)

    assert (first.values, last) == ({"id": 0}, Row({"id": 2}, "a.jsonl:3"))
    assert long.error == "the line is longer than 1 MiB"
    assert len(long.raw or "") < 2_000


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (json.dumps(TWO), [1, 1]),
        (json.dumps(TWO, indent=2), [2, 6]),
        ("\n\n" + json.dumps(TWO, indent=2), [4, 8]),
        ("\n".join(json.dumps(row, indent=2) for row in TWO), [1, 5]),
        (",\n".join(json.dumps(row, indent=2) for row in TWO), [1, 5]),
        ("[\n" + ",\n".join(map(json.dumps, TWO)) + "\n]\n", [2, 3]),
        ("[]", []),
    ],
)
def test_objects_over_several_lines_and_arrays_of_objects_are_rows(
    tmp_path: Path, name: str, text: str, lines: list[int]
) -> None:
    rows = read(write(tmp_path / name, text))

    assert values(rows) == TWO[: len(lines)]
    assert [row.origin for row in rows] == [f"{name}:{line}" for line in lines]


def test_a_long_array_is_read_piece_by_piece(tmp_path: Path) -> None:
    rows = [{"id": number, "text": "ü" * (number % 700)} for number in range(2_000)]
    source = open_source(str(write(tmp_path / "a.json", json.dumps(rows, indent=1, ensure_ascii=False))))

    found = [(row.values, source.progress) for row in source]

    assert [row for row, _ in found] == rows
    assert found[0][1] < 0.5 < found[-1][1] <= source.progress == 1.0


def test_a_value_of_an_array_that_is_no_row_costs_that_value(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.json", '[{"id": 1},\n {"id": NaN},\n 7,\n {"id": 4, "id": 5},\n {"id": 6}]'))

    assert values(rows) == [{"id": 1}, {}, {}, {}, {"id": 6}]
    assert [row.raw for row in rows] == [None, '{"id": NaN}', "7", '{"id": 4, "id": 5}', None]
    assert "NaN is no JSON number" in (rows[1].error or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"id": 1},\n{"id": 2, text}]', "a.json is not JSON from line 2 on: Expecting property name"),
        ('[{"id": 1},\n{"id": 2}', "a.json is not JSON from line 2 on: the array has no end"),
        ('[{"id": 1},\n{"id": 2', "a.json is not JSON from line 2 on"),
    ],
)
def test_an_array_that_breaks_gives_what_stands_before(tmp_path: Path, text: str, words: str) -> None:
    found: list[Row] = []

    with pytest.raises(SourceError, match=words):
        found.extend(open_source(str(write(tmp_path / "a.json", text))))

    assert found[0].values == {"id": 1}


def test_an_array_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.json is not UTF-8; convert it"):
        read(write(tmp_path / "a.json", '[{"id": "Zoë"}]'.encode("latin-1")))


def test_what_stands_between_objects_over_several_lines_costs_its_lines(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.json", '{\n"id": 1\n}\nrubbish\n{"id": 2}\n{\n "id": NaN\n}\n{\n"id": 3\n} \n'))

    assert [row.origin for row in rows] == [f"a.json:{line}" for line in (1, 4, 5, 6, 9)]
    assert values(rows) == [{"id": 1}, {}, {"id": 2}, {}, {"id": 3}]
    assert rows[3].raw == '{\n "id": NaN\n}'


@pytest.mark.parametrize("first", ['{"id": 1,', "{", '{"id": "open', "[[", "[1,"])
def test_a_first_line_that_breaks_off_costs_that_line(tmp_path: Path, first: str) -> None:
    bad, good = read(write(tmp_path / "a.jsonl", f'{first}\n{{"id": 2}}\n'))

    assert (bad.raw, good) == (f"{first}\n", Row({"id": 2}, "a.jsonl:2"))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.jsonl", "")) == read(write(tmp_path / "b.json", "\n \n")) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), min_size=1, max_size=4),
    st.sampled_from(["lines", "array", "indented", "one after the other"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
)
def test_what_json_can_say_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    layout: str,
    ascii_only: bool,
    encoding: str,
) -> None:
    match layout:
        case "lines":
            text = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        case "array":
            text = json.dumps(rows, ensure_ascii=ascii_only)
        case "indented":
            text = json.dumps(rows, ensure_ascii=ascii_only, indent=2)
        case _:
            text = "\n".join(json.dumps(row, ensure_ascii=ascii_only, indent=2) for row in rows)

    found = values(read(write(tmp_path_factory.getbasetemp() / "round.json", text.encode(encoding))))

    assert found == rows
