"""The connector's own sources keep what every source promises."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from connector.contract.sources import SourceContract

ROWS = [{"_id": str(number), "text": f"Text {number}.", "year": 2000 + number} for number in range(5)]


class TestJsonLines(SourceContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> str:
        lines = [*map(json.dumps, ROWS), "{no json", json.dumps({"_id": "other", "more": None})]
        (tmp_path / "rows.jsonl").write_text("\n".join(lines))
        return str(tmp_path / "rows.jsonl")

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nowhere.jsonl")


class TestCsv(SourceContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> str:
        (tmp_path / "rows.csv").write_text("_id,text\n1,One\n2,Two\n3\n")
        return str(tmp_path / "rows.csv")

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nowhere.csv")


class TestParquet(SourceContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> str:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
        return str(tmp_path / "rows.parquet")

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nowhere.parquet")


class TestFolder(SourceContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> str:
        for name, text in {"a.md": "# A\n\nText.", "b.txt": "Text", "c.html": "<p>Text</p>", "d.pdf": "none"}.items():
            (tmp_path / name).write_text(text)
        return str(tmp_path)

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nowhere")
