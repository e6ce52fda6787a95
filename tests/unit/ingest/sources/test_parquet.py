"""Parquet as a source: values of every type, and files that are damaged."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import read, values, write

from connector.errors import SourceError
from connector.ingest.sources import Row, open_source

UUID = uuid.UUID("12345678-90ab-cdef-1234-567890abcdef")


def read_cells(folder: Path, array: Any) -> tuple[list[Any], list[str]]:
    """What the cells of one column are read as, and the faults of those that are not."""
    pq.write_table(pa.table({"cell": array}), folder / "a.parquet")
    rows = read(folder / "a.parquet")
    return [row.values.get("cell", "absent") for row in rows], [row.faults["cell"] for row in rows if row.faults]


def test_rows_keep_their_types(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "year": [1, None], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "a.parquet")

    rows = read(tmp_path / "a.parquet")

    assert rows == [
        Row({"id": "a", "year": 1, "tags": ["x"]}, "a.parquet:row 1"),
        Row({"id": "b", "year": None, "tags": []}, "a.parquet:row 2"),
    ]


MOMENT = dt.datetime(2023, 11, 14, 22, 13, 20)
NS = 1_700_000_000_000_000_001


@pytest.mark.parametrize(
    ("array", "cells"),
    [
        (pa.array([NS, -1, None], pa.timestamp("ns")), [MOMENT, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), None]),
        (pa.array([NS], pa.timestamp("ns", "Europe/Berlin")), [MOMENT.replace(tzinfo=dt.UTC)]),
        (pa.array([dt.date(2024, 1, 31)]), [dt.date(2024, 1, 31)]),
        (pa.array([1_500, 2_000, None], pa.duration("ms")), [1.5, 2, None]),
        (pa.array([2**62], pa.duration("s")), [2**62]),
        (pa.array([3_600_000_000_001], pa.time64("ns")), ["01:00:00"]),
        (pa.array([3_600_500], pa.time32("ms")), ["01:00:00.500000"]),
        (pa.array([Decimal("9.90"), Decimal("10.00")], pa.decimal128(9, 2)), [9.9, 10.0]),
        (pa.array([Decimal("7")], pa.decimal128(9, 0)), [7]),
        (pa.array([Decimal("0.12345678901234567890")], pa.decimal128(38, 20)), [Decimal("0.12345678901234567890")]),
        (pa.array([b"Z\xc3\xbcrich", None], pa.binary()), ["Zürich", None]),
        (pa.array([UUID.bytes], pa.binary(16)), [str(UUID)]),
        (pa.array([UUID.bytes], pa.uuid()), [str(UUID)]),
        (pa.array([b"\x01\x02AB"], pa.binary(4)), ["01024142"]),
        (pa.array(["x", "y", "x", None]).dictionary_encode(), ["x", "y", "x", None]),
        (pa.nulls(2), [None, None]),
        (pa.array([86_400_000], pa.date64()), [dt.date(1970, 1, 2)]),
        (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0], pa.int8())), [True, None, False]),
        (pa.array([1.5, None], pa.float32()), [1.5, None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([{"a": 1, "b": {"c": dt.date(2024, 1, 31)}}]), [{"a": 1, "b": {"c": "2024-01-31"}}]),
        (pa.array([[NS], []], pa.list_(pa.timestamp("ns"))), [["2023-11-14T22:13:20"], []]),
        (pa.array([[Decimal("1.5")]], pa.list_(pa.decimal128(5, 2))), [[1.5]]),
        (pa.array([[1.0, math.nan]]), [[1.0, None]]),
        (pa.array([[b"ab"]], pa.list_(pa.binary())), [["ab"]]),
        (pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int64())), [{"a": 1, "b": 2}]),
        (
            pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64())),
            [[{"key": "a", "value": 1}, {"key": "a", "value": 2}]],
        ),
        (pa.array([[(1.5, "x")]], pa.map_(pa.float64(), pa.string())), [[{"key": 1.5, "value": "x"}]]),
    ],
)
def test_values_of_every_type_are_as_documents_have_them(tmp_path: Path, array: Any, cells: list[Any]) -> None:
    found = read_cells(tmp_path, array)

    assert found == (cells, [])
    assert list(map(type, found[0])) == list(map(type, cells))  # True is not 1


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (
            pa.array([0, 400_000_000_000_000], pa.timestamp("ms")),
            "400000000000000 ms since 1970, about the year 14645, is beyond the years 1 to 9999",
        ),
        (pa.array([0, -(2**62)], pa.timestamp("us")), "-4611686018427387904 us since 1970, about the year -144"),
        (pa.array([0, 2**31 - 1], pa.date32()), "185542587100800 s since 1970, about the year 588"),
        (pa.array([1, 86_400_000], pa.time32("ms")), "86400 seconds are no time of a day"),
        (pa.array([0.5, math.inf]), "it is infinite, which no index can keep"),
        (pa.array([b"a", b"\xff\x00"], pa.binary()), "its 2 bytes are not text in UTF-8"),
        (pa.array([[0], [400_000_000_000_000]], pa.list_(pa.timestamp("ms"))), "400000000000000 ms since 1970"),
        (pa.array([[1.0], [-math.inf]]), "it is infinite"),
        (pa.array([b"a", b"\xff"], pa.binary()).cast(pa.string(), safe=False), "its text is not UTF-8"),
    ],
)
def test_a_value_that_cannot_be_kept_is_a_fault_of_its_row(tmp_path: Path, array: Any, fault: str) -> None:
    cells, faults = read_cells(tmp_path, array)

    assert cells[0] not in ("absent", None)
    assert cells[1:] == ["absent"]
    assert [reason[: len(fault)] for reason in faults] == [fault]


def test_nan_is_no_value_and_is_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({"depth": [1.5, math.nan, None, math.nan]}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))

    assert values(list(source)) == values(list(source)) == [{"depth": 1.5}, *[{"depth": None}] * 3]
    assert dict(source.notes) == {"field 'depth': NaN is read as no value": 2}


def test_columns_and_fields_of_one_name_are_told_apart(tmp_path: Path) -> None:
    inner = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"]), inner], names=["note", "note", "meta.author"])
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))

    assert values(list(source)) == [{"note": "x", "note_2": "y", "meta.author": {"a": 1, "a_2": 2}}]
    assert dict(source.notes) == {"column 2 is named 'note', as another is; it is read as 'note_2'": 1}


def test_a_long_file_is_read_in_batches(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": list(range(1_500))}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))

    steps = [source.progress for _ in source]

    assert (len(steps), steps == sorted(steps), source.progress) == (1_500, True, 1.0)


@pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_a_source_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"cannot read a\.parquet: .*; write it again"):
        read(write(tmp_path / "a.parquet", data))


def test_a_part_that_is_damaged_ends_the_file_after_the_rows_before_it(tmp_path: Path) -> None:
    out = io.BytesIO()
    table = pa.table({"id": [f"{number:032x}" for number in range(3_000)]})
    pq.write_table(table, out, row_group_size=1_000, compression="gzip", use_dictionary=False)
    data = bytearray(out.getvalue())
    start = pq.ParquetFile(out).metadata.row_group(1).column(0).data_page_offset
    data[start + 100 : start + 2_000] = b"\xff" * 1_900
    found: list[Row] = []

    with pytest.raises(SourceError, match=r"cannot read a\.parquet after row 1000: "):
        found.extend(open_source(str(write(tmp_path / "a.parquet", bytes(data)))))

    assert [row.values["id"] for row in found] == table["id"].to_pylist()[:1_000]


TYPES = st.sampled_from(
    [
        pa.string(), pa.large_string(), pa.binary(), pa.binary(16), pa.binary(3), pa.bool_(), pa.int8(), pa.int64(),
        pa.uint64(), pa.float32(), pa.float64(), pa.date32(), pa.date64(), pa.decimal128(12, 3), pa.duration("us"),
        *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
        pa.time32("s"), pa.time64("ns"), pa.null(),
    ]
)  # fmt: skip
ANY_TYPE = st.just(pa.uuid()) | st.recursive(
    TYPES,
    lambda inner: (
        inner.map(pa.list_)
        | inner.map(lambda kind: pa.map_(pa.string(), kind))
        | st.tuples(inner, inner).map(lambda pair: pa.struct([("left", pair[0]), ("right", pair[1])]))
    ),
    max_leaves=3,
)
MANY_DIGITS = decimal.Context(prec=60)


def cells_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any cell of an Arrow type, in the form that `pa.array` takes."""
    types = pa.types
    if types.is_list(kind):
        return st.none() | st.lists(cells_of(kind.value_type), max_size=2)
    if types.is_map(kind):
        pairs = st.tuples(st.text(max_size=2), cells_of(kind.item_type))
        return st.none() | st.lists(pairs, max_size=2)
    if types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: cells_of(field.type) for field in kind})
    if isinstance(kind, pa.UuidType):
        return st.none() | st.uuids().map(lambda value: value.bytes)
    if types.is_decimal(kind):
        return st.none() | st.integers(-(10**12) + 1, 10**12 - 1).map(
            lambda value: Decimal(value).scaleb(-3, MANY_DIGITS)
        )
    if types.is_temporal(kind):
        day = {"s": 86_400, "ms": 86_400_000}.get(getattr(kind, "unit", "ns"), 86_400 * 10**9)
        whole = st.integers(0, day - 1) if types.is_time(kind) else st.integers(-(2**31), 2**31 - 1)
        most = 2**62 // (
            1000 if getattr(kind, "unit", "") == "s" else 1
        )  # Parquet has no seconds: it takes milliseconds
        far = st.integers(-most, most) if kind.bit_width == 64 and not types.is_time(kind) else whole
        return st.none() | (whole | far if not types.is_date64(kind) else whole.map(lambda days: days * 86_400_000))
    if types.is_integer(kind):
        low, high = (
            (0, 2**64 - 1) if kind == pa.uint64() else (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
        )
        return st.none() | st.integers(low, high)
    if types.is_floating(kind):
        return st.none() | st.floats(width=kind.bit_width)
    if types.is_boolean(kind):
        return st.none() | st.booleans()
    if types.is_fixed_size_binary(kind):
        return st.none() | st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    if types.is_binary(kind):
        return st.none() | st.binary(max_size=4) | st.text(max_size=4).map(str.encode)
    return st.none() if types.is_null(kind) else st.none() | st.text(max_size=4)


@given(st.data())
def test_every_cell_is_a_value_or_a_fault(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kind = data.draw(ANY_TYPE)
    cells = data.draw(st.lists(cells_of(kind), min_size=1, max_size=4))
    array = pa.array(cells, kind)
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    pq.write_table(pa.table({"id": list(range(len(cells))), "cell": array}), path)
    source = open_source(str(path))

    rows = list(source)

    assert [row.values["id"] for row in rows] == list(range(len(cells)))
    for row, cell in zip(rows, cells, strict=True):
        assert ("cell" in row.values) != ("cell" in row.faults)
        if cell is not None and row.values.get("cell", cell) is None:
            assert source.notes["field 'cell': NaN is read as no value"]
        whole = row.values.get("cell")
        json.dumps(str(whole) if isinstance(whole, dt.date | Decimal) else whole, allow_nan=False)
