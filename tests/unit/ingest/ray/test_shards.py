"""The shards of a source have together what the source has: the same rows in the same order, each with its origin."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import SourceError
from connector.ingest.ray.first_rows import FirstRows
from connector.ingest.ray.shards import check_location, cut_source, open_shard
from connector.ingest.sources import Row, open_source
from connector.settings.sections import Settings

ROWS = [
    {"_id": str(number), "text": f"Größe {number} 🙂", "year": number, "more": {"a": [number]}} for number in range(97)
]


def contents(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(row.values, row.origin, row.error, row.raw, dict(row.faults)) for row in rows]


def check_shards(location: Path, count: int, *, kinds: set[str], least: int) -> None:
    shards = cut_source(str(location), count)
    whole = open_source(str(location))
    rows, notes = list(whole), dict(whole.notes)
    opened = [open_shard(shard, Settings()) for shard in shards]

    assert contents([row for source in opened for row in source]) == contents(rows)
    assert {note: sum(source.notes[note] for source in opened) for note in notes} == notes
    assert {shard.kind for shard in shards} == kinds
    assert least <= len(shards) <= count
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert all(0 <= source.progress <= 1 for source in opened)


@pytest.mark.parametrize("count", [1, 2, 7, 400])
def test_json_lines_are_cut_between_whole_objects(tmp_path: Path, count: int) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    lines[10:10] = ["", "{broken", "[1]", '{"_id": "x",', '  "text": "over lines"', "}", '"no object"']
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")

    check_shards(file, count, kinds={"lines"}, least=min(count, 40))


@pytest.mark.parametrize("text", ["", "\n\n", '{"_id": "1"}', '{\n"a": [\n{"b": 1},\n{"c": 2}\n]\n}\n' * 20])
def test_what_is_no_object_on_a_line_is_never_cut(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    rows = [row for shard in cut_source(str(file), 8) for row in open_shard(shard, Settings())]

    assert contents(rows) == contents(list(open_source(str(file))))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.csv", b'_id,text\n1,"a\nb"\n2,c\n'),
        ("rows.json", json.dumps(ROWS[:5]).encode()),
        ("rows.jsonl", gzip.compress(b'{"_id": "1"}\n{"_id": "2"}\n')),
        ("other.jsonl", '{"_id": "1"}\n{"_id": "2"}\n'.encode("utf-16")),
    ],
)
def test_what_cannot_be_cut_is_one_shard(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    check_shards(tmp_path / name, 4, kinds={"whole"}, least=1)


def test_parquet_is_cut_between_row_groups(tmp_path: Path) -> None:
    rows = [{"id": number, "number": float("nan") if number % 3 else 1.0} for number in range(50)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=8)

    for count in (1, 3, 20):
        check_shards(tmp_path / "rows.parquet", count, kinds={"groups"}, least=min(count, 7))


def test_a_folder_is_cut_between_files(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / f"{number}.md").write_text(f"# Title {number}\n\nText.")
    (tmp_path / "other.bin").write_text("not read")

    for count in (1, 4, 30):
        check_shards(tmp_path, count, kinds={"files"}, least=count)


def test_a_corpus_of_beir_is_its_file(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    check_shards(tmp_path, 4, kinds={"lines"}, least=4)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="write it to a file that every node of Ray sees"):
        check_location("-")
    check_location(str(tmp_path))


places = st.tuples(st.integers(0, 4), st.integers(0, 9))


@given(
    st.permutations([(shard, row) for shard in range(4) for row in range(6)]), st.lists(st.integers(0, 5), min_size=24)
)
def test_the_first_row_of_a_source_takes_an_id_in_whatever_order_rows_come(
    order: list[tuple[int, int]], ids: list[int]
) -> None:
    id_of = dict(zip(sorted(order), map(str, ids), strict=False))
    first = {id_of[place]: place for place in sorted(order, reverse=True)}
    seen = FirstRows()
    for shard, row in order:
        seen.add(shard, [(row, id_of[shard, row])])
    repeated = {(shard, row) for shard, rows in seen.repeated.items() for row in rows}
    seen.keep("kept")
    missing = seen.missing_from(["0", "kept", "nobody"])
    seen.close()

    assert repeated == set(order) - set(first.values())
    assert missing == [*(() if "0" in first else ("0",)), "nobody"]
