"""What a source yields, and what a source is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source. `error` says why it could not be read; `raw` then holds what was there.

    `faults` maps a field to why its value could not be read. Such a field is not in `values`,
    and the row fails only where the index uses that field."""

    values: dict[str, Any]
    origin: str
    error: str | None = None
    raw: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """Yields rows, always in the same order.

    `progress` is the share read so far, 0 to 1. `notes` counts what was changed or left out on the way without
    failing a row, by what there is to say of it. Both start anew with every `__iter__`.
    A source that breaks off yields its whole rows first and raises SourceError then.
    `typed` is False where all values are text, as in CSV, so that a number can only be told by its looks.
    `id_field` is the id's column in a source that knows it, None elsewhere. `alike` is True where all rows have the
    same columns, so that one of them tells all; it may change to False while rows are read."""

    progress: float
    notes: Counter[str]
    typed: bool
    id_field: str | None

    @property
    def alike(self) -> bool: ...

    def __iter__(self) -> Iterator[Row]: ...
