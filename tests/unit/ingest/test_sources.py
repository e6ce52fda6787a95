from __future__ import annotations

import bz2
import contextlib
import csv
import gc
import gzip
import io
import json
import lzma
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import SourceError
from connector.ingest.sources import Row, open_source


def read(path: Path) -> list[Row]:
    return list(open_source(str(path)))


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def values(rows: list[Row]) -> list[dict[str, Any]]:
    return [row.values for row in rows]


def test_json_lines_are_rows_that_know_their_line(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", '{"id": 1}\n\n  \n{"id": "é"}'))

    assert rows == [Row({"id": 1}, "a.jsonl:1"), Row({"id": "é"}, "a.jsonl:4")]


@pytest.mark.parametrize("name", ["a.ndjson", "A.JSONL", "a.b.jsonl"])
def test_json_lines_go_by_several_names(tmp_path: Path, name: str) -> None:
    assert values(read(write(tmp_path / name, '{"id": 1}\r\n'))) == [{"id": 1}]


def test_gzip_is_read_as_it_goes(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"id": 1}\n{"id": 2}\n')))

    assert rows == [Row({"id": 1}, "a.jsonl.gz:1"), Row({"id": 2}, "a.jsonl.gz:2")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, name: str) -> None:
    text = '{"id": "1", "t": "x"}' if name == "a.jsonl" else "id,t\n1,x\n"

    assert values(read(write(tmp_path / name, b"\xef\xbb\xbf" + text.encode()))) == [{"id": "1", "t": "x"}]


def test_a_line_that_is_not_utf8_is_an_error_and_the_rest_is_read_on(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", b'{"id": 1}\n{"id": "\xff"}\n{"id": 3}\n'))

    assert values(rows) == [{"id": 1}, {}, {"id": 3}]
    assert rows[1].error == "the line is not UTF-8 (byte 8); convert it, e.g. iconv -f LATIN1 -t UTF-8 OLD > NEW"
    assert rows[1].raw == '{"id": "\\xff"}\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{id: 1}", "not JSON"),
        ('{"id": NaN}', "NaN is no JSON number"),
        ('{"id": -Infinity}', "-Infinity is no JSON number"),
        ("[1, 2]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"id": ' + "9" * 5_000 + "}", "not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_keeps_what_was_there(tmp_path: Path, line: str, words: str) -> None:
    bad, good = read(write(tmp_path / "a.jsonl", f'{line}\n{{"id": 2}}\n'))

    assert words in (bad.error or "")
    assert (bad.raw or "").strip() == line
    assert good == Row({"id": 2}, "a.jsonl:2")


def test_csv_takes_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.csv", 'id,text\r\n1,"a ""quoted"", word\nover two lines"\r\n2,plain\r\n'))

    assert values(rows) == [{"id": "1", "text": 'a "quoted", word\nover two lines'}, {"id": "2", "text": "plain"}]
    assert [row.origin for row in rows] == ["a.csv:3", "a.csv:4"]


def test_an_empty_cell_is_a_missing_value(tmp_path: Path) -> None:
    assert values(read(write(tmp_path / "a.csv", "id,text,year\n1,,2\n"))) == [{"id": "1", "year": "2"}]


def test_tsv_is_split_by_tabs(tmp_path: Path) -> None:
    assert values(read(write(tmp_path / "a.tsv.gz", gzip.compress(b"id\ttext\n1\ta, b\n")))) == [
        {"id": "1", "text": "a, b"}
    ]


@pytest.mark.parametrize(("line", "cells"), [("1", 1), ("1,x,y", 3), ("1,x,", 3)])
def test_a_csv_line_of_another_width_is_an_error(tmp_path: Path, line: str, cells: int) -> None:
    bad, good = read(write(tmp_path / "a.csv", f"id,text\n{line}\n2,x\n"))

    assert bad.error == f"the line has {cells} cells, the header has 2"
    assert (bad.origin, bad.values, bad.raw) == ("a.csv:2", {}, f"{line}\n")
    assert good.values == {"id": "2", "text": "x"}


def test_a_csv_line_that_is_not_utf8_is_an_error_and_the_rest_is_read_on(tmp_path: Path) -> None:
    bad, good = read(write(tmp_path / "a.csv", b"id,text\n1,\xe9\n2,x\n"))

    assert "not UTF-8" in (bad.error or "")
    assert good.values == {"id": "2", "text": "x"}


def test_a_csv_line_with_a_broken_quote_is_an_error_and_the_rest_is_read_on(tmp_path: Path) -> None:
    bad, good = read(write(tmp_path / "a.csv", 'id,text\n1,"a"b\n2,x\n'))

    assert "not CSV" in (bad.error or "")
    assert good.values == {"id": "2", "text": "x"}


@pytest.mark.parametrize("text", ["", "id\n1\n", '"id"x,text\n1,2\n', "id,tex\xe9\n1,2\n"])
def test_a_csv_file_without_a_usable_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"a\.csv"):
        read(write(tmp_path / "a.csv", text.encode("latin-1")))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), st.text("a\"',\n\t ;é")
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_csv_can_say_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("left", "right"), *rows])

    found = values(read(write(tmp_path_factory.getbasetemp() / "round.csv", out.getvalue())))

    assert found == [{name: one for name, one in zip(("left", "right"), row, strict=True) if one} for row in rows]


def test_reading_only_the_first_rows_leaves_nothing_open(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source = open_source(str(write(tmp_path / "a.csv", "id,text\n" + "1,x\n" * 2_000)))

    first = list(islice(source, 3))
    gc.collect()

    assert len(first) == 3
    assert not [
        one for one in recwarn.list if str(tmp_path) in str(one.message)
    ]  # other tests' litter may be swept up here


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
        data = bytearray(b"no gzip at all")
    found: list[Row] = []

    with pytest.raises(SourceError, match=r"a\.\w+\.gz is damaged"):
        found.extend(open_source(str(write(tmp_path / name, bytes(data)))))

    assert found == []


def test_what_follows_a_whole_gzip_file_is_an_error_after_its_rows(tmp_path: Path) -> None:
    found: list[Row] = []

    with pytest.raises(SourceError, match="Not a gzipped file"):
        found.extend(open_source(str(write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"id": 1}\n') + b"<html>"))))

    assert values(found) == [{"id": 1}]


def test_parquet_rows_keep_their_types(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "year": [1, None], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "a.parquet")

    rows = read(tmp_path / "a.parquet")

    assert rows == [
        Row({"id": "a", "year": 1, "tags": ["x"]}, "a.parquet:row 1"),
        Row({"id": "b", "year": None, "tags": []}, "a.parquet:row 2"),
    ]


def test_a_long_parquet_file_is_read_in_batches(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": list(range(1_500))}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))

    steps = [source.progress for _ in source]

    assert (len(steps), steps == sorted(steps), source.progress) == (1_500, True, 1.0)


def test_a_file_that_is_no_parquet_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read"):
        read(write(tmp_path / "a.parquet", "no parquet"))


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus(tmp_path: Path, name: str) -> None:
    line = b'{"_id": "1", "title": "T", "text": "x"}\n'
    write(tmp_path / name, gzip.compress(line) if name.endswith("gz") else line)
    write(tmp_path / "readme.md", "# not a document")

    assert values(read(tmp_path)) == [{"_id": "1", "title": "T", "text": "x"}]


def test_a_folder_is_its_files_with_paths_as_ids(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "B.MD", "# Heading\n\nBody")
    write(tmp_path / "a.txt", "plain")
    write(tmp_path / "c.docx", "of no known kind")

    source = open_source(str(tmp_path))

    assert source.id_field == "path"
    assert values(list(source)) == [
        {"path": "a.txt", "title": "a", "text": "plain"},
        {"path": "sub/B.MD", "title": "Heading", "text": "Body"},
    ]


def test_a_file_of_a_folder_that_cannot_be_read_keeps_its_id(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"\xff")
    write(tmp_path / "b.txt", " \n")
    write(tmp_path / "c.pdf", b"%PDF-1.4 broken")

    rows = read(tmp_path)

    assert [row.values for row in rows] == [{"path": name} for name in ("a.txt", "b.txt", "c.pdf")]
    assert all((row.error or "").startswith("cannot read the file: ") for row in rows)


def test_one_document_file_is_a_source(tmp_path: Path) -> None:
    assert values(read(write(tmp_path / "a.md", "# T\ntext"))) == [{"path": "a.md", "title": "T", "text": "text"}]


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file of a known kind"):
        read(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no"):
        open_source(str(tmp_path / "gone.jsonl"))


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
