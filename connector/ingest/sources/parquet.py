"""A Parquet file, read in batches of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import SourceError
from connector.ingest.sources.names import tell_apart
from connector.ingest.sources.parquet_values import NO_NUMBER, Fault, read_column
from connector.ingest.sources.row import Row


class ParquetSource:
    """The rows of a Parquet file, or of some of its row groups. A value that cannot be kept is a fault of its row, and
    no other's."""

    id_field: str | None = None
    alike = False
    typed = True
    BATCH_ROWS = 512

    def __init__(self, path: Path, *, groups: range | None = None) -> None:
        self._path = path
        self._groups = groups
        self.progress = 0.0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        self.progress = 0.0
        self.notes = Counter()
        number = 0
        try:
            with pq.ParquetFile(self._path) as file:
                groups = self._groups if self._groups is not None else range(file.num_row_groups)
                number = before = sum(file.metadata.row_group(group).num_rows for group in range(groups.start))
                total = max(sum(file.metadata.row_group(group).num_rows for group in groups), 1)
                names = tell_apart(file.schema_arrow.names, self.notes if groups.start == 0 else Counter())
                for batch in self._batches(file, groups):
                    for values, faults in self._cells(names, batch.columns, batch.num_rows):
                        number += 1
                        self.progress = (number - before) / total
                        yield Row(values, f"{self._path.name}:row {number}", faults=faults)
        except (OSError, pa.ArrowException) as error:
            where = f" after row {number}" if number else ""
            raise SourceError(
                f"cannot read {self._path.name}{where}: {' '.join(str(error).split())}; write it again"
            ) from error
        self.progress = 1.0

    def _batches(self, file: Any, groups: range) -> Iterator[Any]:
        """One row group after the other, so that a damaged one costs no row before it."""
        for group in groups:
            yield from file.iter_batches(batch_size=self.BATCH_ROWS, row_groups=[group])

    def _cells(
        self, names: list[str], columns: list[Any], rows: int
    ) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """For each row its values, and the faults of those that cannot be kept."""
        read = [read_column(column) for column in columns]
        for at in range(rows):
            values: dict[str, Any] = {}
            faults: dict[str, str] = {}
            for name, cells in zip(names, read, strict=True):
                cell = cells[at]
                if isinstance(cell, Fault):
                    faults[name] = cell.reason
                elif cell is NO_NUMBER:
                    values[name] = None
                    self.notes[f"field {name!r}: NaN is read as no value"] += 1
                else:
                    values[name] = cell
            yield values, faults
