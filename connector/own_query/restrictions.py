"""The filter part of a query: what a document has to fulfil to match it, whatever the words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from connector.own_query.shape import (
    INNER,
    JOINS,
    QueryObject,
    clauses,
    kind_and_body,
    read_bool,
    without_inner_hits,
)
from connector.own_query.text import ranks

Clauses = list[QueryObject]
SCORED = ("function_score", "script_score")
KEPT = ("path", "type", "parent_type", "ignore_unmapped")  # of a join, beside its query


def find_restrictions(query: QueryObject, exact_fields: Collection[str]) -> Clauses:
    """Queries that every match of the query matches too, all of them: its filters, what it must not be, and each clause
    that has to match and does not look for words."""
    kind, body = kind_and_body(query)
    if kind == "match_all":
        return []
    if kind in SCORED and not (isinstance(body, Mapping) and "min_score" in body and is_exact(query, exact_fields)):
        return _of_all(clauses(body, INNER[kind]), exact_fields)
    if kind in ("boosting", "constant_score"):
        return _of_all(clauses(body, INNER[kind]), exact_fields)
    if kind == "hybrid":  # it stands for a whole search, and within no other query
        return _of_some(clauses(body, "queries"), 1, exact_fields) + list(clauses(body, "filter"))
    if is_exact(query, exact_fields):
        return [without_inner_hits(query)]
    if kind == "bool":
        return _of_bool(body, exact_fields)
    if kind == "dis_max":
        return _of_some(clauses(body, "queries"), 1, exact_fields)
    if kind in JOINS:
        found = _of_all(clauses(body, "query"), exact_fields)
        return [{kind: {name: body[name] for name in KEPT if name in body} | {"query": all_of(found)}}] if found else []
    if kind == "pinned":  # these documents match, whatever the rest of it says
        found = _of_all(clauses(body, "organic"), exact_fields)
        return [any_of([{"ids": {"values": _pinned(body)}}, all_of(found)], 1)] if found else []
    return []


def is_exact(query: QueryObject, exact_fields: Collection[str]) -> bool:
    """Whether nothing in a query that gives it its scores looks for words or for what is near."""
    kind, body = kind_and_body(query)
    if kind == "bool":
        found = read_bool(body)
        return all(is_exact(clause, exact_fields) for clause in (*found.must, *found.should))
    if kind in INNER:  # the rules of `rule` are the engine's, and may bring in any document
        return kind != "rule" and all(is_exact(clause, exact_fields) for clause in clauses(body, INNER[kind]))
    return not ranks(kind, body, exact_fields)


def all_of(found: Sequence[QueryObject]) -> QueryObject:
    """One query that is matched where all are."""
    return found[0] if len(found) == 1 else {"bool": {"filter": list(found)}}


def any_of(found: Sequence[QueryObject], at_least: int) -> QueryObject:
    """One query that is matched where so many are."""
    return {"bool": {"should": list(found), "minimum_should_match": at_least}}


def _of_bool(body: Any, exact_fields: Collection[str]) -> Clauses:
    parts = read_bool(body)
    found = [*_of_all(parts.must, exact_fields), *(without_inner_hits(clause) for clause in parts.filter)]
    if parts.must_not:
        found.append({"bool": {"must_not": [without_inner_hits(clause) for clause in parts.must_not]}})
    return found + _of_some(parts.should, parts.at_least, exact_fields)


def _of_all(queries: Sequence[QueryObject], exact_fields: Collection[str]) -> Clauses:
    return [clause for query in queries for clause in find_restrictions(query, exact_fields)]


def _of_some(queries: Sequence[QueryObject], at_least: int, exact_fields: Collection[str]) -> Clauses:
    """What holds where so many of the queries match: those without restrictions may be among them."""
    restricted = [found for query in queries if (found := find_restrictions(query, exact_fields))]
    needed = at_least - (len(queries) - len(restricted))
    return [any_of([all_of(found) for found in restricted], needed)] if needed > 0 else []


def _pinned(body: Any) -> list[str]:
    listed = [doc.get("_id") for doc in body.get("docs") or [] if isinstance(doc, Mapping)]
    return [str(doc_id) for doc_id in [*(body.get("ids") or []), *listed]]
