"""Any table, through any format, into the embedded store: each row is counted once, and no cell goes silently."""

from __future__ import annotations

import asyncio
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.parts import HashEncoder
from support.runs.effort import tries

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.ingest.job import make_plan
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import JobReport
from connector.ingest.sources import open_source
from connector.ingest.survey import has_value
from connector.settings.sections import IngestSettings, Settings
from connector.values import to_instant
from connector.wiring import build_schema

Table = Sequence[Mapping[str, Any]]
ENCODER = HashEncoder(dims=4, max_tokens=64)
SETTINGS = Settings.model_validate({"fields": {"id": "id"}})
NAMES = (
    "price",
    "Price",
    "unit",
    "meta.author",
    "meta",
    "passages",
    "a b",
    "_id",
    "Größe",
    "vectors",
    "name",
    "q'`*^",
    " ",
)
letters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
looks = st.sampled_from(
    ["9", "50", "1.50", "007", "TRUE", "false", "2024-03-05", "2024-03-05T06:07:08Z", "n/a", "-3", "1e5"]
)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | letters
    | looks
)
nested = scalars | st.lists(letters, max_size=3) | st.dictionaries(letters, scalars, max_size=2) | st.none()


def tables(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    ids = st.integers(0, 6).map(str)  # some twice
    row = st.fixed_dictionaries({"id": ids, "text": st.just("words of a text")}, optional=dict.fromkeys(NAMES, cells))
    return st.lists(row, min_size=1, max_size=8)


def write_csv(rows: Table, folder: Path) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "rows.csv"


def write_jsonl(rows: Table, folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "rows.jsonl"


def write_parquet(rows: Table, folder: Path) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


async def ingest(file: Path, folder: Path) -> tuple[JobReport, dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """The report, what is in the index, and what is in the rejects file."""
    plan = make_plan(SETTINGS, open_source(str(file)))
    cluster = await EmbeddedCluster.open(folder / "store")
    index = await cluster.create_index("docs", build_schema(Settings(), plan.fields, ENCODER.fingerprint))
    rejects = folder / "rejects.jsonl"
    job = IngestJob(open_source(str(file)), index, ENCODER, IngestSettings(), rejects=rejects)
    report = await job.run()
    stored = await index.get([str(at) for at in range(7)], fields=None, timeout_s=60)
    await cluster.close()
    kept = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.exists() else []
    return report, stored, kept


def check(file: Path, folder: Path) -> None:
    report, stored, kept = asyncio.run(ingest(file, folder))
    plan_fields = make_plan(SETTINGS, open_source(str(file))).fields
    rows = list(open_source(str(file)))
    taken: set[str] = set()

    assert report.counts.read == len(rows)
    assert report.counts.written + report.counts.failed == len(rows)
    assert (len(stored), len(kept)) == (report.counts.written, report.counts.failed)
    rejected = {line["origin"] for line in kept}
    for row in rows:
        if row.origin in rejected:
            continue
        document = stored[str(row.values["id"])]
        assert row.values["id"] not in taken
        taken.add(row.values["id"])
        fields = {plan_fields.column(name): name for name in (*plan_fields.text, *plan_fields.metadata)}
        for column in filter(lambda name: has_value(row.values[name]) and name != plan_fields.id, row.values):
            if column not in fields:
                assert column in report.unused, (column, row)
                continue
            assert same(row.values[column], document.get(fields[column])), (column, row, document)


def same(cell: Any, value: Any) -> bool:
    """Whether a value is the cell's, in its type."""
    if isinstance(cell, list) and isinstance(value, list):
        return len(cell) == len(value) and all(same(*pair) for pair in zip(cell, value, strict=True))
    if isinstance(cell, list):  # in a text column, or alone in its list
        return same("\n".join(map(str, cell)), value)
    if isinstance(value, list):
        return same([cell], value)
    if value is None:
        return isinstance(cell, str) and not cell.strip()  # of a text that is blank there is nothing to index
    if cell == value or str(cell) == str(value) or str(cell).strip().lower() == str(value).lower():
        return True
    for read in (float, to_instant):
        try:
            if read(cell) == read(value):
                return True
        except (TypeError, ValueError, OverflowError):
            continue
    return False


slow = settings(max_examples=tries(8), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_parquet])
def test_a_table_of_every_type_is_kept_whole(write: Any, tmp_path: Path) -> None:
    names = ("unit", "meta.author", "Price", "price")
    rows = [{"id": str(at), "text": "words", **{name: f"{name} {at}" for name in names}} for at in range(4)]
    typed = [row | {"active": str(at % 2 == 0), "seats": str(at * 100)} for at, row in enumerate(rows)]

    check(write([*typed, typed[0]], tmp_path), tmp_path)


@slow
@given(tables(letters | looks))
@example(
    [{"id": "0", "text": "t", "price": "9", "unit": "TRUE"}, {"id": "1", "text": "t", "price": "n/a", "unit": "x"}]
)
def test_any_csv_is_kept_whole(rows: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(write_csv(rows, Path(folder)), Path(folder))


@slow
@given(tables(nested))
@example([{"id": "0", "text": "t", "meta": {"author": "a"}, "meta.author": "b"}, {"id": "1", "text": "t", "meta": 1}])
def test_any_jsonl_is_kept_whole(rows: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(write_jsonl(rows, Path(folder)), Path(folder))


@slow
@given(tables(st.none() | st.floats()), tables(st.none() | letters))
def test_any_parquet_is_kept_whole(numbers: Table, texts: Table) -> None:
    rows = []
    for at, row in enumerate(numbers):
        more = {f"{name} n": value for name, value in row.items() if name not in ("id", "text")}
        rows.append({**texts[at % len(texts)], **more})
    with tempfile.TemporaryDirectory() as folder:
        check(write_parquet(rows, Path(folder)), Path(folder))
