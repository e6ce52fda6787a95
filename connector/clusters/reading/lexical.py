"""The lexical leg on the engines: our query or the application's own, and what a results page needs beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from connector.clusters.dialect import (
    JSON,
    MATCHING,
    MAX_CLAUSES,
    build_index_filter,
    first_words,
    hits_only,
    match_clause,
    matching_passages,
    own_passages,
)
from connector.clusters.protocol import ordered
from connector.clusters.reading.hits import read_hit
from connector.filters import Filter
from connector.lexical import LexicalAnswer, LexicalPage, LexicalQuery, PageRequest
from connector.schema import IndexSchema
from connector.types import Total

SCORES = ("_score", "max_score")


def build_lexical(
    schema: IndexSchema,
    query: LexicalQuery,
    depth: int,
    found: Filter | None,
    passages: int = 1,
    page: PageRequest | None = None,
) -> JSON:
    """The body of the lexical leg: the words of the query by BM25, or the query that the application made.

    The passages that match best, or else the first, come along without a say in the score, and so does the filter."""
    bool_query: JSON = {"must": [dict(query.own) if query.own is not None else _words(schema, query)]}
    place = own_passages(schema)
    if place and passages and (schema.managed or query.own is None):  # a query of theirs is sent to theirs as it is
        words = first_words(query.text, MAX_CLAUSES // (len(schema.fields.text) + 1))
        bool_query["should"] = [matching_passages(words, passages, place)]
    if found:
        bool_query["filter"] = [build_index_filter(found, schema)]
    only = bool_query["must"][0] if query.own is not None and len(bool_query) == 1 else {"bool": bool_query}
    return {"query": only} | hits_only(schema, depth, passages) | (_build_page(page) if page else {})


def read_lexical(
    reply: JSON, schema: IndexSchema, depth: int, page: PageRequest | None, scale: float = 1.0
) -> LexicalAnswer:
    """The ranking of the reply, in the engine's own order where a sort was asked for, and the page."""
    hits = [read_hit(hit, schema, scale) for hit in reply["hits"]["hits"]]
    if page is None:
        return LexicalAnswer(ordered(hits, depth))
    ranking = ordered(hits, depth) if page.sort is None else tuple({hit.doc_id: hit for hit in hits}.values())
    return LexicalAnswer(ranking, read_page(reply, scale))


def read_page(reply: JSON, scale: float = 1.0) -> LexicalPage:
    """Total and aggregations of a reply."""
    return LexicalPage(_read_total(reply), _as_asked(reply.get("aggregations", {}), scale))


def uses_scores(query: LexicalQuery, page: PageRequest | None) -> bool:
    """Whether something of the application's may add to the scores or compare them, so that they must not be scaled."""
    return query.own is not None or (page is not None and "_score" in str(page.aggregations))


def _words(schema: IndexSchema, query: LexicalQuery) -> JSON:
    """BM25 over the text fields, summed with their boosts.

    A query is cut after as many words as every engine takes (333 over two text fields)."""
    texts = query.boosts(schema)
    words = first_words(query.text, MAX_CLAUSES // (len(texts) + (own_passages(schema) is not None)))
    return match_clause(schema, words, texts, type="most_fields")


def _build_page(page: PageRequest) -> JSON:
    body: JSON = {"track_total_hits": page.total}
    if page.aggregations:
        body["aggs"] = dict(page.aggregations)
    if page.sort is not None:
        body["sort"] = page.sort
        if page.collapse:
            body["collapse"] = {"field": page.collapse}
    return body


def _as_asked(node: Any, scale: float) -> Any:
    """Aggregations without what the leg's query adds to the hits in them: its passages, and the scale of its scores."""
    if isinstance(node, list):
        return [_as_asked(child, scale) for child in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _as_asked(value, scale) for key, value in node.items() if not _is_ours(key, value)}
    return kept | {key: _unscaled(kept[key], scale) for key in SCORES if scale != 1 and kept.get(key)}


def _unscaled(score: float, scale: float) -> float:
    """The score that the engine would have written: the shortest number that is the same in single precision."""
    return float(str(np.float32(score / scale)))


def _is_ours(key: str, value: Any) -> bool:
    return key == "inner_hits" and isinstance(value, dict) and value.keys() == {MATCHING}


def _read_total(reply: JSON) -> Total | None:
    total: Any = reply["hits"].get("total")
    return Total(int(total["value"]), total["relation"]) if total else None
