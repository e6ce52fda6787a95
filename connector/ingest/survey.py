"""What a source holds, column by column: a pass over all its rows, since a guess from the first misses the rest."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from connector.errors import SourceError
from connector.ingest.sources import Row, Source
from connector.values import to_instant

Kind = Literal["boolean", "integer", "number", "date", "moment", "text", "list", "object"]
SAMPLES = 3
SAMPLE_CHARS = 40
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")  # with a zero or a plus in front it is a code: a postcode, a telephone
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?|-?\.[0-9]+")
DATE = re.compile(r"\d{4}-\d\d")
TRUTH = frozenset({"true", "false"})


@dataclass(slots=True)
class Column:
    """What one column holds: how many values, of which kinds, with the first of each kind, and a few to show."""

    name: str
    values: int = 0
    chars: int = 0
    longest: int = 0
    kinds: dict[Kind, int] = field(default_factory=dict)
    firsts: dict[Kind, tuple[Any, str]] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    faults: int = 0
    fault: str = ""

    def add(self, value: Any, kind: Kind, origin: str) -> None:
        self.values += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.firsts.setdefault(kind, (value, origin))
        if isinstance(value, str):
            self.chars += len(value)
            self.longest = max(self.longest, len(value))
        if len(self.samples) < SAMPLES and (sample := show(value)) not in self.samples:
            self.samples.append(sample)


@dataclass(slots=True)
class Survey:
    """All columns in the order in which they appeared; `rows` are those that could be read."""

    rows: int = 0
    unreadable: int = 0
    first_fault: str = ""
    columns: dict[str, Column] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        return self.columns.setdefault(name, Column(name))


def survey_source(
    source: Source, *, stopped: Callable[[], bool] = lambda: False, paths: Collection[str] = ()
) -> Survey:
    """Read the source through, or until it is `stopped`; where all rows are alike, up to the first that can be read.
    What lies at `paths` of nested objects counts as columns of those names.

    Raises SourceError where it breaks off before the first row; further on, that is for the job to say."""
    survey = Survey()
    try:
        for row in source:
            add_row(survey, row, typed=source.typed, paths=paths)
            if stopped() or (source.alike and survey.rows):
                break
    except SourceError:
        if not survey.rows:
            raise
    return survey


def add_row(survey: Survey, row: Row, *, typed: bool, paths: Collection[str] = ()) -> None:
    """Count the row's values in. `typed` is False where the source knows only text, as CSV does."""
    if row.error:
        survey.unreadable += 1
        survey.first_fault = survey.first_fault or f"{row.origin}: {row.error}"
        return
    survey.rows += 1
    for name, value in (*row.values.items(), *_at_paths(row, paths)):
        column = survey.column(name)
        kind = kind_of(value, typed=typed)
        if kind is not None:
            column.add(value, kind, row.origin)
    for name, fault in row.faults.items():
        column = survey.column(name)
        column.faults += 1
        column.fault = column.fault or f"{row.origin}: {fault}"


def value_at_path(row: Row, path: str) -> Any:
    """What lies at a path of nested objects, as meta.author; None where there is nothing."""
    value: Any = row.values
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _at_paths(row: Row, paths: Collection[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        if path not in row.values and (value := value_at_path(row, path)) is not None:
            yield path, value


def has_value(value: Any) -> bool:
    """Whether there is anything to store; an empty text or list is nothing."""
    return value is not None and not (isinstance(value, str | list | tuple) and len(value) == 0)


def kind_of(value: Any, *, typed: bool) -> Kind | None:
    """What a value looks like; None for no value."""
    if not has_value(value):
        return None
    match value:
        case str():
            return _kind_of_text(value, typed)
        case bool():
            return "boolean"
        case int():
            return "integer" if -(2**63) <= value < 2**63 else "text"
        case float() | Decimal():
            return "number"
        case dt.date():
            return "moment"
        case list() | tuple() if all(isinstance(part, str | int) for part in value):
            return "list"
    return "object"


def show(value: Any) -> str:
    """A value in a few characters of one line."""
    text = value if isinstance(value, str) else str(value)
    text = " ".join(text[: 4 * SAMPLE_CHARS].split()).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SAMPLE_CHARS else text[: SAMPLE_CHARS - 1] + "…"


def _kind_of_text(text: str, typed: bool) -> Kind:
    if DATE.match(text) and _is_date(text):
        return "date"
    if typed:
        return "text"
    plain = text.strip()
    if plain.lower() in TRUTH:
        return "boolean"
    if WHOLE.fullmatch(plain):
        return "integer"
    return "number" if DECIMAL.fullmatch(plain) else "text"


def _is_date(text: str) -> bool:
    try:
        to_instant(text)
    except (ValueError, OverflowError, OSError):
        return False
    return True
