"""TableRows of the embedded store in the order that a caller demands, worded as the engines' `sort`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from connector.clusters.embedded.columns import TableRow
from connector.errors import QueryError
from connector.schema import IndexSchema

SCORE = "_score"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by; rows without a value come last, or first."""

    field: str
    descending: bool
    missing_first: bool = False


def read_sort(sort: Any, schema: IndexSchema) -> list[SortKey]:
    """The keys of a sort: a field, {field: order}, {field: {order, missing}}, or a list of them. Raises QueryError."""
    asked = sort if isinstance(sort, list | tuple) else [sort]
    return [key for entry in asked for key in _read_keys(entry, schema)]


def sort_rows(rows: Sequence[TableRow], keys: Sequence[SortKey]) -> list[TableRow]:
    """The rows by the keys; equal ones by score, then by id."""
    ordered = sorted(sorted(rows, key=lambda row: str(row["doc_id"])), key=lambda row: -float(row[SCORE]))
    for key in reversed(keys):
        have = [row for row in ordered if _values(row, key)]
        lack = [row for row in ordered if not _values(row, key)]
        have.sort(key=partial(_best_value, key=key), reverse=key.descending)
        ordered = [*lack, *have] if key.missing_first else [*have, *lack]
    return ordered


def _read_keys(asked: Any, schema: IndexSchema) -> list[SortKey]:
    if isinstance(asked, str):
        return [_key(asked, {}, schema)]
    if not isinstance(asked, Mapping):
        raise QueryError("a sort names fields: FIELD, {FIELD: asc|desc}, or a list of them")
    return [
        _key(field, options if isinstance(options, Mapping) else {"order": options}, schema)
        for field, options in asked.items()
    ]


def _key(field: str, options: Mapping[str, Any], schema: IndexSchema) -> SortKey:
    fields = [name for name, kind in schema.fields.metadata.items() if kind != "stored"]
    if field not in (*fields, SCORE, "doc_id"):
        has = ", ".join([*fields, SCORE, "doc_id"])
        raise QueryError(f"the embedded store cannot sort by {field!r}; it can by: {has}")
    order, missing = options.get("order", "desc" if field == SCORE else "asc"), options.get("missing", "_last")
    if set(options) - {"order", "missing"} or order not in ("asc", "desc") or missing not in ("_first", "_last"):
        has = "order (asc, desc) and missing (_first, _last)"
        raise QueryError(f"the embedded store cannot sort by {field!r} like this; it has {has}")
    return SortKey(field, order == "desc", missing == "_first")


def _best_value(row: TableRow, key: SortKey) -> Any:
    """By which of its values a row is sorted: the greatest where the greatest come first, else the least."""
    return (max if key.descending else min)(_values(row, key))


def _values(row: TableRow, key: SortKey) -> list[Any]:
    value = row[key.field]
    return value if isinstance(value, list) else [] if value is None else [value]
