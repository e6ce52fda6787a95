"""What a results page asks of the engines beside the legs: counts of a union, highlights, the groups of a collapse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON, any_of
from connector.clusters.reading.hits import read_doc_id
from connector.clusters.reading.lexical import build_lexical, read_page
from connector.clusters.reading.marks import (
    CharacterSpan,
    build_analysis,
    find_same_words,
    mark,
    read_analysis,
    read_tags,
)
from connector.errors import ClusterError, ClusterUnavailable
from connector.filters import Filter
from connector.lexical import Group, LexicalPage, LexicalQuery, PageRequest
from connector.schema import IndexSchema
from connector.types import Highlights


class Ask(Protocol):
    """Sends a `_search` to the index."""

    async def __call__(self, body: JSON, timeout_s: float) -> JSON: ...


class RestResultsPage:
    """What a results page asks of one index beside the legs."""

    def __init__(self, name: str, schema: IndexSchema, client: Client, ask: Ask) -> None:
        self._name, self._schema, self._client, self._ask = name, schema, client, ask

    async def union(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        timeout_s: float,
        page: PageRequest,
    ) -> LexicalPage:
        reply = await self._ask(build_union(self._schema, query, doc_ids, filter, page), timeout_s)
        return in_union(read_page(reply))

    async def highlight(
        self,
        query: LexicalQuery,
        doc_ids: Sequence[str],
        *,
        filter: Filter | None,
        options: Mapping[str, Any],
        timeout_s: float,
    ) -> dict[str, Highlights]:
        if not doc_ids:
            return {}
        body = build_highlight(self._schema, query, doc_ids, filter, options)
        return read_highlight(await self._ask(body, timeout_s), self._schema)

    async def mark(
        self, words: str, texts: Sequence[str], *, options: Mapping[str, Any], timeout_s: float
    ) -> list[str]:
        if not texts:
            return []
        terms = await self._terms([words, *texts], timeout_s)
        if terms is None:
            spans = [find_same_words(words, text) for text in texts]
        else:
            spans = [[span for term in terms[0] for span in found.get(term, ())] for found in terms[1:]]
        return [mark(text, found, read_tags(options)) for text, found in zip(texts, spans, strict=True)]

    async def _terms(self, texts: Sequence[str], timeout_s: float) -> list[dict[str, list[CharacterSpan]]] | None:
        """The index's own terms of each text; None where the engine does not take these apart, or not for this
        caller."""
        body = build_analysis(self._name, self._schema, texts)
        if body is None:
            return None
        try:
            reply = await self._client.request("POST", "/_mtermvectors", body=body, timeout_s=timeout_s)
        except ClusterUnavailable:
            raise
        except ClusterError:
            return None
        return read_analysis(reply, texts)

    async def groups(self, doc_ids: Sequence[str], field: str, *, timeout_s: float) -> dict[str, Group]:
        if not doc_ids:
            return {}
        reply = await self._ask(build_groups(self._schema, doc_ids, field), timeout_s)
        return read_groups(reply, self._schema, field)


def in_union(page: LexicalPage) -> LexicalPage:
    """The page of a union, which says so."""
    return replace(page, total=page.total and replace(page.total, counted="union"))


def build_union(
    schema: IndexSchema, query: LexicalQuery, doc_ids: Sequence[str], found: Filter | None, page: PageRequest
) -> JSON:
    """The body that counts what the lexical query matches, and these documents too, each once; it brings no hit."""
    matching = PageRequest(total=page.total, aggregations=page.aggregations)
    body = build_lexical(schema, query, 0, found, 0, matching)
    if not doc_ids:
        return body
    either = [body["query"], any_of(schema, doc_ids)]
    return body | {"query": {"bool": {"should": either, "minimum_should_match": 1}}}


def build_highlight(
    schema: IndexSchema, query: LexicalQuery, doc_ids: Sequence[str], found: Filter | None, options: Mapping[str, Any]
) -> JSON:
    """The body that highlights these documents as the lexical query would, and brings nothing else of them."""
    asked = build_lexical(schema, query, 0, found, 0)["query"]
    return of_documents(schema, doc_ids) | {"_source": False, "highlight": {"highlight_query": asked} | dict(options)}


def read_highlight(reply: JSON, schema: IndexSchema) -> dict[str, Highlights]:
    """The fragments of each document that has any, by field."""
    return {read_doc_id(hit, schema): hit["highlight"] for hit in reply["hits"]["hits"] if hit.get("highlight")}


def build_groups(schema: IndexSchema, doc_ids: Sequence[str], field: str) -> JSON:
    """The body that brings the values of a field for these documents."""
    return of_documents(schema, doc_ids) | {"_source": False, "docvalue_fields": [field]}


def read_groups(reply: JSON, schema: IndexSchema, field: str) -> dict[str, Group]:
    """The group of each document: its values of the field, none of them for a document without it."""
    return {read_doc_id(hit, schema): tuple(hit.get("fields", {}).get(field, ())) for hit in reply["hits"]["hits"]}


def of_documents(schema: IndexSchema, doc_ids: Sequence[str]) -> JSON:
    """The body of a `_search` for exactly these documents."""
    query = {"bool": {"filter": [any_of(schema, doc_ids)]}}
    return {"query": query, "size": len(doc_ids), "track_total_hits": False}
