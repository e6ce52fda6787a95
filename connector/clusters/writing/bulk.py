"""Writes as the engines take them: the lines of a `_bulk` request, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from connector.clusters.dialect import DOC_ID, DOCUMENT, JSON, PASSAGES, UNIT
from connector.clusters.failures import explain_block, explain_denial, is_block, is_denial, is_nowhere
from connector.clusters.original_text import to_indexed
from connector.clusters.reasons import explain_reason
from connector.clusters.vector_form import VectorForm, as_floats
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, IndexBlocked
from connector.schema import IndexSchema
from connector.types import IndexedDocument, WriteOutcome

MAX_CHUNK_ACTIONS = 500
RETRYABLE_STATUS = frozenset({429, 502, 503, 504})


def build_bulk(documents: Sequence[IndexedDocument], schema: IndexSchema, form: VectorForm = as_floats) -> list[bytes]:
    """The two NDJSON lines of each document, as one piece: it replaces whatever had its id. The request names the
    index."""
    return [
        b"%b\n%b\n" % (orjson.dumps({"index": {"_id": indexed.document.doc_id}}), build_source(indexed, schema, form))
        for indexed in documents
    ]


def build_removal(doc_ids: Sequence[str]) -> list[bytes]:
    """The NDJSON line that deletes each document."""
    return [orjson.dumps({"delete": {"_id": doc_id}}) + b"\n" for doc_id in doc_ids]


def build_source(indexed: IndexedDocument, schema: IndexSchema, form: VectorForm = as_floats) -> bytes:
    """A document as the engines store it: its fields, its content hash, its id, its passages nested with their
    vectors."""
    passages = [
        {"ordinal": passage.ordinal, "text": passage.text, "vector": form(vector)}
        for passage, vector in zip(indexed.passages, indexed.vectors, strict=True)
    ]
    source = to_indexed(indexed.document.fields, schema)
    source |= {"content_hash": indexed.content_hash, UNIT: DOCUMENT, PASSAGES: passages}
    if schema.keeps_ids:
        source[DOC_ID] = indexed.document.doc_id
    return orjson.dumps(source, option=orjson.OPT_SERIALIZE_NUMPY)


def read_outcomes(reply: JSON, doc_ids: Sequence[str]) -> list[WriteOutcome]:
    """The outcome of each action of a bulk reply, in order.

    Raises what holds for all of them: ClusterUnavailable for half a reply, and where the index takes no writes at all;
    AccessDenied where the credentials may not write, which OpenSearch says of each document with HTTP 200; ClusterError
    where the name stands for no index, or for several."""
    items = reply.get("items")
    if not isinstance(items, list) or len(items) != len(doc_ids):
        raise ClusterUnavailable("the reply to a bulk request does not fit what was sent; is a proxy in between?")
    outcomes = []
    for doc_id, item in zip(doc_ids, items, strict=True):
        (result,) = item.values()
        status = result["status"]
        error = result.get("error")
        if is_block(error):
            raise IndexBlocked(explain_block(error, status), status=status)
        if is_denial(error):
            reason = explain_reason(error, status)
            raise AccessDenied(explain_denial(reason, index=result.get("_index", "")) or reason, status=status)
        if is_nowhere(error):
            raise ClusterError(explain_reason(error, status), status=status)
        if status < 300 or (status == 404 and "delete" in item):
            outcomes.append(WriteOutcome(doc_id))
        else:
            outcomes.append(WriteOutcome(doc_id, explain_reason(error, status), retryable=status in RETRYABLE_STATUS))
    return outcomes


def split_chunks(actions: Sequence[bytes], max_bytes: int) -> Iterator[tuple[int, int]]:
    """Bounds of bulk chunks: at most `max_bytes` and MAX_CHUNK_ACTIONS each, at least one action."""
    start = size = 0
    for position, action in enumerate(actions):
        if position > start and (size + len(action) > max_bytes or position - start == MAX_CHUNK_ACTIONS):
            yield start, position
            start, size = position, 0
        size += len(action)
    if start < len(actions):
        yield start, len(actions)
