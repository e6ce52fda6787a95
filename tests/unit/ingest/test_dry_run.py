"""A dry run says what a job would do, and leaves nothing behind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.parts import HashEncoder, schema_of

from connector.clusters.connect import connect
from connector.errors import SettingsError
from connector.ingest.dry_run import rehearse
from connector.settings.sections import Settings

ROWS = ["id,text,unit,price", "1,Pea soup,g,7", "2,Fish cake,kg,8.50", "2,Again,g,9", "3,,g,9"]


def settings_of(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate({"cluster": {"url": f"embedded:{folder / 'store'}"}} | more)


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "menu.csv").write_text("\n".join(ROWS) + "\n")
    return str(tmp_path / "menu.csv")


async def test_it_says_what_becomes_of_columns_and_rows(source: str, tmp_path: Path) -> None:
    found = await rehearse(source, settings_of(tmp_path))

    assert not found.exists
    assert [(column.column, column.use, column.type, column.field) for column in found.plan.columns] == [
        ("id", "id", None, "id"),
        ("text", "text", "boost 1", "text"),
        ("unit", "metadata", "keyword", "unit_"),
        ("price", "metadata", "number", "price"),
    ]
    assert (found.rows, found.failed, found.ok) == (4, 2, False)
    assert [failure.reason for failure in found.failures] == [
        "its id '2' repeats; the first row with that id was taken",
        "it has no text (fields text are empty)",
    ]


async def test_it_creates_nothing(source: str, tmp_path: Path) -> None:
    await rehearse(source, settings_of(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["menu.csv"]


async def test_an_index_that_is_there_is_not_written_to(source: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    cluster = await connect(settings.cluster)
    await cluster.create_index(settings.index.name, schema_of(HashEncoder(), id="id"))
    await cluster.close()
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = await rehearse(source, settings)

    assert found.exists
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


async def test_a_source_without_rows_is_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    cluster = await connect(settings.cluster)
    await cluster.create_index(settings.index.name, schema_of(HashEncoder(), id="id"))
    await cluster.close()
    (tmp_path / "empty.jsonl").write_text("\n")
    found = await rehearse(str(tmp_path / "empty.jsonl"), settings)

    assert found.notes == {"the source holds no rows": 1}


async def test_a_store_that_is_there_gets_no_index(source: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    await (await connect(settings.cluster)).close()
    before = sorted(map(str, tmp_path.rglob("*")))
    found = await rehearse(source, settings)

    assert not found.exists
    assert sorted(map(str, tmp_path.rglob("*"))) == before


async def test_an_index_that_is_there_keeps_its_fields(source: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    cluster = await connect(settings.cluster)
    fields = {"text": {"text": 1.0}, "metadata": {"price": "number"}, "id": "id"}
    await cluster.create_index("documents", schema_of(HashEncoder(), **fields))
    await cluster.close()
    found = await rehearse(source, settings)

    assert found.exists
    assert {column.column: column.use for column in found.plan.columns}["unit"] == "left out"
    with pytest.raises(SettingsError, match="was made with other fields"):
        await rehearse(source, settings_of(tmp_path, fields={"metadata": {"price": "keyword"}}))


async def test_a_source_that_breaks_off_is_said(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": str(at), "text": f"text {at} " * 50}) + "\n" for at in range(2_000))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-500])
    found = await rehearse(str(tmp_path / "cut.jsonl.gz"), settings_of(tmp_path))

    assert "cut off" in str(found.broken)
    assert not found.ok
    assert found.rows > 1_000
