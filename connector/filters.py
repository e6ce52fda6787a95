"""The filter language: term, terms, range, exists, and, or, not. Checked against an index, then given to all legs.

Each store makes its own language of it: the engines' JSON in clusters/dialect.py (`build_filter`), and the embedded
store's SQL in clusters/embedded/sql.py (`build_sql`).

As JSON::

    {"and": [
        {"term": {"department": "legal"}},
        {"range": {"date": {"gte": "2024-01-01"}}},
        {"not": {"exists": "tier"}}
    ]}

As text, for the command line, several joined by "and": ``department=legal``, ``region=emea,apac``, ``tier!=gold``,
``date>=2024-01-01``, ``tier?`` (exists), ``!tier?`` (is missing).

A document without the field never matches term, terms or range, and always matches their negation. A date without a
time is a period in UTC: `date=2024-01-15` is the whole day, `date>2024` begins with 2025.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import DocumentError, FilterError
from connector.periods import to_bounds, within
from connector.schema import AnyFieldType
from connector.values import DATES, check_value

Scalar = str | int | float | bool
MAX_NESTING = 24  # Elasticsearch takes 30 queries within each other, of which some are ours
MAX_TERMS = 10_000
BOUNDS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Terms:
    """The field holds at least one of the values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field lies within every given bound (a mapping of gt, gte, lt, lte)."""

    field: str
    bounds: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


@dataclass(frozen=True, slots=True)
class EngineQuery:
    """A filter in an engine's own language, taken out of an application's query; no filter that is parsed holds one."""

    query: Mapping[str, Any]


Filter = Terms | Range | Exists | And | Or | Not | EngineQuery


def parse_filter(source: Any) -> Filter | None:
    """A filter from its JSON form, its text form, a list of either (joined by "and"), or a filter already parsed."""
    return _parse_any(source, depth=0)


def _parse_any(source: Any, *, depth: int) -> Filter | None:
    if source is None or source == "" or source == [] or source == {}:
        return None
    if isinstance(source, Filter):
        return source
    if isinstance(source, str):
        return parse_expression(source)
    if isinstance(source, Sequence) and depth <= MAX_NESTING:
        found = [_parse_any(part, depth=depth + 1) for part in source]
        parts = tuple(part for part in found if part is not None)
        return (parts[0] if len(parts) == 1 else And(parts)) if parts else None
    return _parse(source, depth=depth)


def parse_expression(text: str) -> Filter:
    """A filter from its text form, see the module."""
    match = re.fullmatch(r"\s*(!?)\s*([^\s=!<>?]+)\s*(?:(\?)|(!=|>=|<=|=|>|<)\s*(.*?))\s*", text, re.DOTALL)
    if not match:
        raise FilterError(
            f"cannot read the filter {text!r}; write FIELD=VALUE, FIELD=A,B, FIELD!=VALUE, FIELD>=VALUE, FIELD? or JSON"
        )
    negated, name, exists, operator, value = match.groups()
    values = tuple(part.strip() for part in (value or "").split(",") if part.strip())
    found: Filter
    if exists:
        found = Exists(name)
    elif not values:
        raise FilterError(f"the filter {text!r} names no value")
    elif operator in ("=", "!="):
        found = Terms(name, values)
    else:
        found = Range(name, {{">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}[operator]: value})
    return Not(found) if bool(negated) != (operator == "!=") else found


def check_filter(found: Filter | None, fields: Mapping[str, AnyFieldType]) -> Filter | None:
    """The same filter with its values in the fields' types; raises FilterError for what the index cannot answer.

    `fields` maps every field that can be filtered to its type."""
    match found:
        case None | EngineQuery():
            return found
        case And(parts):
            return And(tuple(_checked(part, fields) for part in parts))
        case Or(parts):
            return Or(tuple(_checked(part, fields) for part in parts))
        case Not(part):
            return Not(_checked(part, fields))
        case Exists(name):
            _field_type(name, fields)
            return found
        case Terms(name, values):
            return _checked_terms(name, values, fields)
        case Range(name, bounds):
            return _checked_range(name, bounds, fields)


def fields_of(found: Filter | None) -> Iterator[str]:
    """The names of the fields that a filter looks at."""
    match found:
        case And(parts) | Or(parts):
            for part in parts:
                yield from fields_of(part)
        case Not(part):
            yield from fields_of(part)
        case Terms(name) | Range(name) | Exists(name):
            yield name


def _checked(part: Filter, fields: Mapping[str, AnyFieldType]) -> Filter:
    checked = check_filter(part, fields)
    assert checked is not None
    return checked


def _checked_terms(name: str, values: Sequence[Any], fields: Mapping[str, AnyFieldType]) -> Filter:
    typed = [(value, _typed(name, fields, value)) for value in values]
    if fields[name] not in DATES:
        return Terms(name, tuple(checked for _, checked in typed))
    periods: list[Filter] = [Range(name, bounds) for value, _ in typed if (bounds := within(value))]
    instants = tuple(checked for value, checked in typed if within(value) is None)
    parts = (*periods, *([Terms(name, instants)] if instants else []))
    return parts[0] if len(parts) == 1 else Or(parts)


def _checked_range(name: str, bounds: Mapping[str, Any], fields: Mapping[str, AnyFieldType]) -> Range:
    kind = _field_type(name, fields)
    if kind == "keyword[]":
        raise FilterError(f"a range on {name!r} cannot be answered: it holds lists")
    typed = {bound: _typed(name, fields, value) for bound, value in bounds.items()}
    if kind in DATES:
        return Range(name, to_bounds(bounds, spell=DATES[kind]))
    numeric = next((value for value in bounds.values() if kind == "keyword" and _is_number(value)), None)
    if numeric is not None:
        raise FilterError(
            f"field {name!r} holds words (keyword), which compare letter by letter: '9' comes after '50', so a range "
            f"to {numeric} cannot mean what it says; ingest into a new index with --metadata {name}:number"
        )
    return Range(name, typed)


def _is_number(value: Any) -> bool:
    if not isinstance(value, str | int | float):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _field_type(name: str, fields: Mapping[str, AnyFieldType]) -> AnyFieldType:
    if name not in fields:
        near = sorted(path for path in fields if path.startswith(f"{name}."))
        near = near or difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(fields)) or 'none'}"
        raise FilterError(f"the index has no field {name!r} to filter by; {hint}")
    if fields[name] == "stored":
        raise FilterError(f"field {name!r} is only stored; give it a type in fields.metadata to filter by it")
    return fields[name]


def _typed(name: str, fields: Mapping[str, AnyFieldType], value: Any) -> Scalar:
    kind = _field_type(name, fields)
    if isinstance(value, list | tuple | dict) or value is None or value == "":
        raise FilterError(f"a filter on {name!r} needs a plain value, not {value!r}")
    try:
        checked: Scalar = check_value(name, "keyword" if kind == "keyword[]" else kind, value)
    except DocumentError as error:
        raise FilterError(f"in a filter, {error}") from None
    except UnicodeEncodeError:
        raise FilterError(f"a filter on {name!r} holds half a surrogate pair, which is no character") from None
    return checked


def _parse(source: Any, *, depth: int) -> Filter:
    if depth > MAX_NESTING:
        raise FilterError(f"a filter may be nested {MAX_NESTING} deep at most")
    if isinstance(source, str):
        return parse_expression(source)
    if not isinstance(source, Mapping) or len(source) != 1:
        raise FilterError(
            f"a filter is an object with one key of term, terms, range, exists, and, or, not; got {source!r}"
        )
    kind, body = next(iter(source.items()))
    match kind:
        case "and" | "or":
            if not isinstance(body, list) or not body:
                raise FilterError(f"{kind!r} takes a list of at least one filter")
            parts = tuple(_parse(part, depth=depth + 1) for part in body)
            return And(parts) if kind == "and" else Or(parts)
        case "not":
            return Not(_parse(body, depth=depth + 1))
        case "exists":
            name = body.get("field") if isinstance(body, Mapping) else body
            if not isinstance(name, str):
                raise FilterError('"exists" takes the name of a field')
            return Exists(name)
        case "term" | "terms" | "range":
            return _parse_leaf(kind, body)
    near = difflib.get_close_matches(str(kind), ["term", "terms", "range", "exists", "and", "or", "not"], n=1)
    raise FilterError(f"unknown filter {kind!r}{f'; did you mean {near[0]!r}?' if near else ''}")


def _parse_leaf(kind: str, body: Any) -> Filter:
    if not isinstance(body, Mapping) or len(body) != 1:
        raise FilterError(f"{kind!r} takes an object with one field")
    name, value = next(iter(body.items()))
    if kind == "term":
        return Terms(name, (value,))
    if kind == "terms":
        if not isinstance(value, list) or not 0 < len(value) <= MAX_TERMS:
            raise FilterError(f"'terms' on {name!r} takes a list of 1 to {MAX_TERMS} values")
        return Terms(name, tuple(value))
    if not isinstance(value, Mapping) or not value or set(value) - set(BOUNDS):
        raise FilterError(f"'range' on {name!r} takes an object of {', '.join(BOUNDS)}")
    return Range(name, dict(value))
