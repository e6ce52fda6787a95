"""The shape of an engine's query object: its kind, its body, and the queries that stand within it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from connector.errors import QueryError

QueryObject = Mapping[str, Any]
MAX_LEVELS = 200  # of objects and lists within each other; the engines take 30 queries within each other, of 3 each
# where the queries stand of which a document has to match one at least, for it to match the whole
INNER = {
    "boosting": "positive",
    "constant_score": "filter",
    "dis_max": "queries",
    "function_score": "query",
    "has_child": "query",
    "has_parent": "query",
    "hybrid": "queries",
    "nested": "query",
    "pinned": "organic",
    "rule": "organic",
    "script_score": "query",
}
JOINS = ("nested", "has_child", "has_parent")
BOOL_PARTS = ("must", "filter", "must_not", "mustNot", "should")  # the engines still take the fourth for the third


@dataclass(frozen=True, slots=True)
class BoolClauses:
    """The clauses of a `bool`; of those in `should`, `at_least` have to match."""

    must: tuple[QueryObject, ...]
    filter: tuple[QueryObject, ...]
    must_not: tuple[QueryObject, ...]
    should: tuple[QueryObject, ...]
    at_least: int


def check_depth(query: Any) -> None:
    """Raise QueryError for a query that no engine takes, since it is nested too deep."""
    level, depth = [query], 0
    while level:
        depth += 1
        if depth > MAX_LEVELS:
            raise QueryError(f"the engine's query is nested more than {MAX_LEVELS} levels deep; no engine takes that")
        level = list(chain.from_iterable(_parts(value) for value in level))


def kind_and_body(query: Any) -> tuple[str, Any]:
    """`{"match": {...}}` -> ("match", {...}); a `wrapper` is what it holds. Raises QueryError for what is no query."""
    if not isinstance(query, Mapping):
        raise QueryError(f"an engine's query is an object, not {type(query).__name__}")
    if "query" in query:
        raise QueryError("that is the body of a whole search; give what stands under its key 'query'")
    if len(query) != 1:
        raise QueryError(
            "an engine's query is an object with one key, its kind, such as bool or match; this one has "
            + (", ".join(sorted(map(str, query))) or "none")
        )
    kind, body = next(iter(query.items()))
    if kind == "wrapper" and (wrapped := _unwrap(body)) is not None:
        return kind_and_body(wrapped)
    return kind, body


def clauses(body: Any, name: str) -> tuple[QueryObject, ...]:
    """The queries under a key, which may hold one, several or none."""
    value = body.get(name) if isinstance(body, Mapping) else None
    listed: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    return tuple(clause for clause in listed if clause)


def read_bool(body: Any) -> BoolClauses:
    """The clauses of a `bool`, and how many of the optional ones have to match."""
    must, filters, *forbidden, should = (clauses(body, name) for name in BOOL_PARTS)
    spec = body.get("minimum_should_match") if isinstance(body, Mapping) else None
    at_least = 0 if spec is None else count_needed(str(spec), len(should))
    if should and not must and not filters:
        at_least = max(at_least, 1)
    return BoolClauses(must, filters, tuple(chain(*forbidden)), should, at_least)


def count_needed(spec: str, count: int) -> int:
    """How many of `count` clauses a `minimum_should_match` asks for: 2, -1, 75%, -25%, "2<75% 9<-3"; 0 for what no
    engine reads."""
    try:
        return max(_count_needed(spec.strip(), count), 0)
    except ValueError:
        return 0


def _count_needed(spec: str, count: int) -> int:
    if "<" in spec:
        needed = count
        for condition in spec.replace(" <", "<").replace("< ", "<").split():
            above, _, rest = condition.partition("<")
            if count <= int(above):
                return needed
            needed = _count_needed(rest, count)
        return needed
    number = int(spec.removesuffix("%"))
    share = abs(number) * count // 100 if spec.endswith("%") else abs(number)
    return count - share if number < 0 else share


def without_inner_hits(query: QueryObject) -> QueryObject:
    """The same query, which brings no inner hits along: two legs may not ask for the same ones."""
    kind, body = kind_and_body(query)
    if not isinstance(body, Mapping):
        return query
    kept = {name: value for name, value in body.items() if not (name == "inner_hits" and kind in JOINS)}
    for name in BOOL_PARTS if kind == "bool" else (INNER.get(kind, ""), "negative" if kind == "boosting" else ""):
        if name in kept:
            value = kept[name]
            cleaned = [without_inner_hits(clause) for clause in clauses(kept, name)]
            kept[name] = cleaned[0] if isinstance(value, Mapping) and cleaned else cleaned
    return {kind: kept}


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        return iter(value.values())
    return iter(value if isinstance(value, list | tuple) else ())


def _unwrap(body: Any) -> Any:
    """The query that a `wrapper` holds in base64; None where it cannot be read."""
    packed = body.get("query") if isinstance(body, Mapping) else None
    if not isinstance(packed, str | bytes):
        return None
    try:
        found = json.loads(base64.b64decode(packed, validate=True))
    except (ValueError, RecursionError):
        return None
    check_depth(found)
    return found
