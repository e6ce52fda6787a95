"""Files written for a test, and the rows that a source finds in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connector.ingest.sources import Row, open_source


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def row(**values: Any) -> Row:
    """A row of a source, as its first one."""
    return Row(values, "a.jsonl:1")


def read(path: Path) -> list[Row]:
    return list(open_source(str(path)))


def values(rows: list[Row]) -> list[dict[str, Any]]:
    return [row.values for row in rows]
