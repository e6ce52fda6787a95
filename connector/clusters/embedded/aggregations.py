"""The aggregations that the embedded store can make, worded and answered as the engines do."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.clusters.embedded.columns import TableRow
from connector.errors import QueryError
from connector.schema import AnyFieldType, IndexSchema
from connector.values import to_instant

JSON = dict[str, Any]
BUCKETS = {
    "terms": {"field", "size", "order"},
    "range": {"field", "ranges"},
    "histogram": {"field", "interval"},
    "missing": {"field"},
}
METRICS = ("min", "max", "avg", "sum", "stats", "value_count", "cardinality")
OPTIONS = BUCKETS | {kind: {"field"} for kind in METRICS}
NUMBERS = ("integer", "number")
COUNTING = ("value_count", "cardinality")  # they take any value
TERMS_SIZE = 10
EPOCH, MILLISECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(milliseconds=1)
MAX_BUCKETS = 65_536  # as many as the engines make at most


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregation of a field; the inner ones are made of each of its buckets."""

    kind: str
    field: str
    type: AnyFieldType
    body: Mapping[str, Any]
    inner: Mapping[str, Aggregation]

    @property
    def columns(self) -> set[str]:
        """The fields that it and the inner ones read."""
        return {self.field}.union(*(inner.columns for inner in self.inner.values()))


def read_aggregations(asked: Mapping[str, Any], schema: IndexSchema) -> dict[str, Aggregation]:
    """The aggregations of a request by name. Raises QueryError for what the embedded store does not make."""
    for name, body in asked.items():
        if not isinstance(body, Mapping) or not all(isinstance(options, Mapping) for options in body.values()):
            raise QueryError(f"aggregation {name!r} must be an object of objects, as the engines take it")
    return {name: _read(name, dict(body), schema) for name, body in asked.items()}


def aggregate(rows: Sequence[TableRow], wanted: Mapping[str, Aggregation]) -> JSON:
    """The aggregations over those rows."""
    return {name: _make(rows, aggregation) for name, aggregation in wanted.items()}


def _read(name: str, body: JSON, schema: IndexSchema) -> Aggregation:
    inner = body.pop("aggs", None) or body.pop("aggregations", None) or {}
    kind = next(iter(body), "")
    if len(body) != 1 or kind not in OPTIONS:
        has = ", ".join(OPTIONS)
        raise QueryError(f"the embedded store makes no aggregation like {name!r}: {kind or 'no kind'}; it has: {has}")
    options = body[kind]
    unknown = sorted(set(options) - OPTIONS[kind])
    if unknown:
        has = ", ".join(sorted(OPTIONS[kind]))
        raise QueryError(f"{kind!r} of the embedded store has no option {unknown[0]!r} ({name!r}); it has: {has}")
    if kind in METRICS and inner:
        raise QueryError(f"aggregation {name!r} ({kind}) has no buckets that others could be made of")
    field = options.get("field")
    types = {field: type for field, type in schema.fields.metadata.items() if type != "stored"}
    if field not in types:
        raise QueryError(f"aggregation {name!r} is of no field of the index; those that can be: {', '.join(types)}")
    if kind not in ("terms", "missing", *COUNTING) and types[field] not in (*NUMBERS, *_dates(kind)):
        raise QueryError(f"aggregation {name!r} ({kind}) needs numbers, and {field!r} is of type {types[field]}")
    return Aggregation(kind, field, types[field], options, read_aggregations(inner, schema))


def _dates(kind: str) -> tuple[str, ...]:
    return ("date",) if kind in ("min", "max") else ()


def _make(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    if wanted.kind in METRICS:
        return _metric(wanted, [value for row in rows for value in _values(row, wanted)])
    return MAKERS[wanted.kind](rows, wanted)


def _metric(wanted: Aggregation, values: Sequence[Any]) -> JSON:
    match wanted.kind:
        case "value_count":
            return {"value": len(values)}
        case "cardinality":
            return {"value": len(set(values))}
        case "min" | "max":
            best = {"min": min, "max": max}[wanted.kind](values, default=None)
            return {"value": None if best is None else float(best)} | _spelled(wanted.type, best, "value_as_string")
    total = math.fsum(values)
    mean = total / len(values) if values else None
    if wanted.kind == "stats":
        least, most = (float(min(values)), float(max(values))) if values else (None, None)
        return {"count": len(values), "min": least, "max": most, "avg": mean, "sum": total}
    return {"value": total if wanted.kind == "sum" else mean}


def _terms(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    groups: dict[Any, list[TableRow]] = defaultdict(list)
    for row in rows:
        for value in dict.fromkeys(_values(row, wanted)):
            groups[value].append(row)
    counts = Counter({value: len(group) for value, group in groups.items()})
    by, direction = next(iter(wanted.body.get("order", {"_count": "desc"}).items()))
    if by not in ("_count", "_key") or direction not in ("asc", "desc"):
        raise QueryError("terms of the embedded store are ordered by {_count: desc|asc} or {_key: desc|asc}")
    by_key = sorted(counts, reverse=by == "_key" and direction == "desc")
    sign = {"desc": -1, "asc": 1}[direction] if by == "_count" else 0
    ordered = sorted(by_key, key=lambda value: sign * counts[value])
    chosen = ordered[: wanted.body.get("size", TERMS_SIZE)]
    buckets = [_key(wanted.type, value) | _bucket(groups[value], wanted) for value in chosen]
    left_out = sum(counts.values()) - sum(counts[value] for value in chosen)
    return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": left_out, "buckets": buckets}


def _range(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    buckets = []
    ranges = wanted.body.get("ranges", ())
    for bounds in sorted(ranges, key=lambda bounds: (bounds.get("from", -math.inf), bounds.get("to", math.inf))):
        low, high = (bounds.get(name) for name in ("from", "to"))
        within = [row for row in rows if any(_is_within(value, low, high) for value in _values(row, wanted))]
        ends = {name: float(bounds[name]) for name in ("from", "to") if bounds.get(name) is not None}
        name = bounds.get("key", f"{ends.get('from', '*')}-{ends.get('to', '*')}")
        buckets.append({"key": name} | ends | _bucket(within, wanted))
    return {"buckets": buckets}


def _histogram(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    width = wanted.body.get("interval", 0)
    if not width > 0:
        raise QueryError("a histogram needs an interval above 0")
    groups: dict[int, list[TableRow]] = defaultdict(list)
    for row in rows:
        for place in dict.fromkeys(math.floor(value / width) for value in _values(row, wanted)):
            groups[place].append(row)
    if not groups:
        return {"buckets": []}
    places = range(min(groups), max(groups) + 1)
    if len(places) > MAX_BUCKETS:
        raise QueryError(f"a histogram of {len(places)} buckets is too long; choose an interval above {width}")
    return {"buckets": [{"key": place * float(width)} | _bucket(groups.get(place, ()), wanted) for place in places]}


def _missing(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    return _bucket([row for row in rows if not any(True for _ in _values(row, wanted))], wanted)


MAKERS: Mapping[str, Callable[[Sequence[TableRow], Aggregation], JSON]] = {
    "terms": _terms,
    "range": _range,
    "histogram": _histogram,
    "missing": _missing,
}


def _bucket(rows: Sequence[TableRow], wanted: Aggregation) -> JSON:
    return {"doc_count": len(rows)} | aggregate(rows, wanted.inner)


def _key(kind: AnyFieldType, value: Any) -> JSON:
    if kind == "boolean":
        return {"key": int(value), "key_as_string": str(value).lower()}
    return {"key": value} | _spelled(kind, value, "key_as_string")


def _spelled(kind: AnyFieldType, value: Any, name: str) -> JSON:
    """A date, which the engines count in milliseconds, as text too."""
    if kind != "date" or value is None:
        return {}
    moment = EPOCH + dt.timedelta(milliseconds=value)
    return {name: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def _values(row: TableRow, wanted: Aggregation) -> Iterator[Any]:
    value = row[wanted.field]
    for item in value if isinstance(value, list) else () if value is None else (value,):
        yield (to_instant(item) - EPOCH) // MILLISECOND if wanted.type == "date" else item


def _is_within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value < high)
