"""Files of queries -> queries with their ids; of two with one id, none wins without a word."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connector.errors import SourceError
from connector.evaluation.files.text_file import numbered_lines
from connector.text import normalise_text


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query that has judgments; `labels` are its other fields in the collection, by which queries are put in
    groups."""

    query_id: str
    text: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its label of that name, empty where it has none."""
        return next(iter(self.labels.get("kind", ())), "")


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of a file, each id once; how many entries said again what one before them had said."""

    queries: tuple[JudgedQuery, ...]
    repeated: int = 0

    def __iter__(self) -> Iterator[JudgedQuery]:
        return iter(self.queries)

    def __len__(self) -> int:
        return len(self.queries)


def read_queries(path: Path) -> Queries:
    """The queries of a file of JSON lines with _id and text. Raises SourceError, with the line."""
    return unique(path, ((number, _parse(line, f"{path}:{number}")) for number, line in numbered_lines(path)))


def unique(path: Path, numbered: Iterable[tuple[int, JudgedQuery]]) -> Queries:
    """The queries of these lines, each id once. Raises SourceError for an id with two texts, and where there is
    none."""
    found: dict[str, tuple[int, JudgedQuery]] = {}
    repeated = 0
    for number, query in numbered:
        if not query.query_id or not normalise_text(query.text).strip():
            raise SourceError(f"{path}:{number} is no query: it has no {'text' if query.query_id else 'id'}")
        where, before = found.setdefault(query.query_id, (number, query))
        if before.text != query.text:
            raise SourceError(
                f"{path}:{number} has the id {query.query_id!r} of line {where}, and another text; give each query "
                "an id of its own"
            )
        repeated += where != number
    if not found:
        raise SourceError(f"{path} has no queries")
    return Queries(tuple(query for _, query in found.values()), repeated)


def text_of(value: Any) -> str | None:
    """An id or a text as JSON has it: a number is its digits (1 and 1.0 are both "1"); None for what is neither."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else json.dumps(value)


def parse_object(line: str, where: str, needs: str) -> dict[str, Any]:
    """The JSON object of a line. Raises SourceError, which says what the line needs."""
    try:
        row = json.loads(line, object_pairs_hook=_pairs)
        line.encode()  # raises for half a character, which no engine takes
        json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} is no JSON object ({error}); it needs {needs}") from None
    if not isinstance(row, dict):
        raise SourceError(f"{where} is no JSON object; it needs {needs}, one object a line")
    return row


def _parse(line: str, where: str) -> JudgedQuery:
    row = parse_object(line, where, "_id and text")
    parts = {name: text_of(row.pop(name, None)) for name in ("_id", "text")}
    for name, value in parts.items():
        if value is None:
            raise SourceError(f"{where} is no query: its {name} is missing, or neither a text nor a number")
    return JudgedQuery(parts["_id"] or "", parts["text"] or "", dict(_labels(row)))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a name is in it twice")
    return row


def _labels(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each field with its values as text; what is nested has a dot in its name."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _labels(value, f"{prefix}{name}.")
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            yield prefix + name, tuple(label if isinstance(label, str) else json.dumps(label) for label in values)
