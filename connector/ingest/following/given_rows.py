"""Rows that are at hand, as a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from connector.ingest.sources import Row


class GivenRows:
    """Rows that are at hand, as a source."""

    id_field: str | None = None
    typed = True
    alike = True

    def __init__(self, rows: Iterator[Row] | Sequence[Row]) -> None:
        self._rows = rows
        self.progress = 0.0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        yield from self._rows
        self.progress = 1.0
