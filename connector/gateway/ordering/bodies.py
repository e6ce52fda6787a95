"""The bodies of our requests to the engine, made of the caller's parts in their own bytes. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.clusters.dialect import MAX_CLAUSES, any_of, first_words, hits_only, matching_passages
from connector.gateway.reading.body import EVERYWHERE, LEXICAL, MATCHING, PAGE, SearchBody
from connector.gateway.reading.raw_json import members, write
from connector.schema import IndexSchema

BARELY = 1e-9  # the score of what only the dense leg found, where the engine counts that too
WHOLE_HITS = b'"top_hits"'  # an aggregation that shows hits


def brings_passages_along(search: SearchBody, schema: IndexSchema) -> bool:
    """Whether the lexical leg may bring passages of ours along: not where the caller would see that it does."""
    aggregations = (search.parts.get(name) for name in ("aggs", "aggregations"))
    seen = "profile" in search.parts or any(part and WHOLE_HITS in bytes(part) for part in aggregations)
    return schema.managed and not seen


def lexical_body(
    search: SearchBody, schema: IndexSchema, *, window: int, passages: int, also: Sequence[str] = ()
) -> bytes:
    """The lexical leg: the caller's query as it came, from the first hit on, without what is fetched of hits.

    `also` are documents that match too, though none of the query does."""
    query: Any = _with(search, schema, also)
    along = bool(passages) and brings_passages_along(search, schema)
    if along:
        words = first_words(search.text, MAX_CLAUSES // (len(schema.fields.text) + 1))
        query = {"bool": {"must": [query], "should": [matching_passages(words, 1)]}}
    asked = hits_only(schema, window, passages if along or not schema.managed else 0)
    asked.pop("track_total_hits")
    return write({"query": query} | search.those(EVERYWHERE, LEXICAL, MATCHING) | asked)


def page_body(search: SearchBody, schema: IndexSchema, doc_ids: Sequence[str], *, explained: bool = False) -> bytes:
    """What the caller sees of some documents, with the scores that its query gives them.

    `explained`: all of them match, and their scores are explained, so that nothing of ours may stand in the query."""
    only = any_of(schema, doc_ids)
    searched: dict[str, Any] = {"query": {"bool": {"filter": [only], "should": [search.query]}}}
    if explained:
        searched = {"query": search.query, "post_filter": only}
    asked = {"size": len(doc_ids), "track_total_hits": False}
    return write(searched | search.those(EVERYWHERE, PAGE) | _highlight(search) | asked)


def tail_body(
    search: SearchBody,
    schema: IndexSchema,
    window: Sequence[str],
    *,
    start: int,
    size: int,
    also: Sequence[str] = (),
) -> bytes:
    """The engine's own order, without the window."""
    query: dict[str, Any] = {"bool": {"must": [_with(search, schema, also)]}}
    if window:
        query["bool"]["must_not"] = [any_of(schema, window)]
    asked = {"from": start, "size": size, "track_total_hits": False}
    return write({"query": query} | search.those(EVERYWHERE, MATCHING, PAGE) | _highlight(search) | asked)


def count_body(search: SearchBody, schema: IndexSchema, doc_ids: Sequence[str]) -> bytes:
    """How many of some documents the caller's query matches."""
    query = {"bool": {"filter": [search.query, any_of(schema, doc_ids)]}}
    return write({"query": query} | search.those(EVERYWHERE) | {"size": 0, "track_total_hits": True})


def _with(search: SearchBody, schema: IndexSchema, also: Sequence[str]) -> Any:
    if not also:
        return search.query
    rest = {"constant_score": {"filter": any_of(schema, also), "boost": BARELY}}
    return {"dis_max": {"queries": [search.query, rest]}}


def _highlight(search: SearchBody) -> dict[str, Any]:
    """What is highlighted is what the caller's query looks for, and nothing of ours."""
    if "highlight" not in search.parts:
        return {}
    given = members(search.parts["highlight"])
    return {"highlight": {"highlight_query": search.query} | given}
