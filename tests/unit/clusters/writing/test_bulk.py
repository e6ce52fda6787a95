"""What a bulk request holds, where it is cut, and what its reply says of each document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.indices.two_schemas import MANAGED

from connector.clusters.original_text import to_original
from connector.clusters.writing.bulk import build_bulk, build_removal, build_source, read_outcomes, split_chunks
from connector.errors import AccessDenied, ClusterUnavailable
from connector.types import Document, IndexedDocument, Passage, WriteOutcome


def indexed(doc_id: str, fields: dict[str, Any], texts: list[str]) -> IndexedDocument:
    passages = tuple(Passage(doc_id, ordinal, text) for ordinal, text in enumerate(texts))
    return IndexedDocument(Document(doc_id, fields), "hash", passages, np.ones((len(texts), 2), dtype=np.float32))


def test_a_document_is_written_with_its_passages_in_one_piece() -> None:
    (piece,) = build_bulk([indexed('a"\n', {"title": "T\n", "year": 7}, ["one", "two"])], MANAGED)

    action, source = piece.splitlines()
    assert orjson.loads(action) == {"index": {"_id": 'a"\n'}}
    assert orjson.loads(source) == {
        "title": "T\n",
        "year": 7,
        "content_hash": "hash",
        "doc_id": 'a"\n',
        "unit": "document",
        "passages": [
            {"ordinal": 0, "text": "one", "vector": [1.0, 1.0]},
            {"ordinal": 1, "text": "two", "vector": [1.0, 1.0]},
        ],
    }


def test_a_document_without_passages_is_written_all_the_same() -> None:
    source = orjson.loads(build_source(indexed("a", {"title": "T"}, []), MANAGED))

    assert source["passages"] == []


def test_a_text_is_indexed_in_one_spelling_and_comes_back_in_its_own() -> None:
    fields = {"title": "Mu\u0308hle", "text": "plain", "tier": "mu\u0308de"}
    source = orjson.loads(build_source(indexed("a", fields, []), MANAGED))

    assert (source["title"], source["text"], source["tier"]) == ("Mühle", "plain", "mu\u0308de")
    assert source["original_text"] == {"title": "Mu\u0308hle"}
    assert {name: to_original(source, MANAGED)[name] for name in fields} == fields
    assert "original_text" not in to_original(source, MANAGED)


def test_an_index_of_an_earlier_version_gets_the_text_as_it_came() -> None:
    older = replace(MANAGED, keeps_original_text=False)
    source = orjson.loads(build_source(indexed("a", {"title": "Mu\u0308hle"}, []), older))

    assert source["title"] == "Mu\u0308hle"
    assert "original_text" not in source


def test_a_removal_is_one_line() -> None:
    lines = build_removal(["a", "b"])

    assert [orjson.loads(line) for line in lines] == [
        {"delete": {"_id": "a"}},
        {"delete": {"_id": "b"}},
    ]


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        ({"index": {"status": 201}}, WriteOutcome("a")),
        ({"index": {"status": 200}}, WriteOutcome("a")),
        ({"delete": {"status": 404, "result": "not_found"}}, WriteOutcome("a")),
        (
            {"index": {"status": 404, "error": {"reason": "no such index"}}},
            WriteOutcome("a", "no such index (HTTP 404)"),
        ),
        (
            {"index": {"status": 400, "error": {"reason": "failed", "caused_by": {"reason": "bad date"}}}},
            WriteOutcome("a", "failed: bad date (HTTP 400)"),
        ),
        (
            {"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}},
            WriteOutcome("a", "es_rejected_execution_exception (HTTP 429)", retryable=True),
        ),
        ({"index": {"status": 503}}, WriteOutcome("a", "refused (HTTP 503)", retryable=True)),
    ],
)
def test_each_action_of_a_bulk_reply_has_its_outcome(item: Any, outcome: WriteOutcome) -> None:
    assert read_outcomes({"items": [item]}, ["a"]) == [outcome]


@pytest.mark.parametrize("reply", [{"items": []}, {}, {"items": None}, {"items": [{}, {}]}])
def test_a_bulk_reply_that_does_not_fit_is_not_believed(reply: Any) -> None:
    with pytest.raises(ClusterUnavailable, match="does not fit what was sent"):
        read_outcomes(reply, ["a"])


@pytest.mark.parametrize("status", [403, 429])
def test_an_index_that_takes_no_writes_is_no_fault_of_a_document(status: int) -> None:
    block = {"type": "cluster_block_exception", "reason": "index [docs] blocked by: [flood-stage watermark]"}
    reply = {"items": [{"index": {"status": 201}}, {"index": {"status": status, "error": block}}]}

    with pytest.raises(ClusterUnavailable, match=r"takes no writes: index .docs. blocked by.*free space"):
        read_outcomes(reply, ["a", "b"])


@given(st.lists(st.binary(max_size=30), max_size=40), st.integers(1, 60))
def test_bulk_chunks_hold_every_action_once_within_the_bound(actions: list[bytes], max_bytes: int) -> None:
    chunks = [actions[start:end] for start, end in split_chunks(actions, max_bytes)]

    assert [action for chunk in chunks for action in chunk] == actions
    assert all(chunk and (len(chunk) == 1 or sum(map(len, chunk)) <= max_bytes) for chunk in chunks)


@pytest.mark.parametrize(
    "reason",
    [
        "no permissions for [indices:data/write/bulk[s], indices:data/write/index] and User [name=ann, "
        "backend_roles=[], "
        "requestedTenant=null]",
        "action [indices:data/write/index:op_type/index] is unauthorized for API key id [x] of user [ann] on indices "
        "[kb], "
        "this action is granted by the index privileges [create,index,write,all]",
    ],
)
def test_credentials_that_may_not_write_are_no_fault_of_the_documents(reason: str) -> None:
    """As OpenSearch says it, and Elasticsearch where new documents may be added: HTTP 200 with 403 for each
    document."""
    denial = {"status": 403, "_index": "kb", "error": {"type": "security_exception", "reason": reason}}

    with pytest.raises(AccessDenied, match=r"may not write to index 'kb' .*; grant .*index.*docs/how-to/secure.md"):
        read_outcomes({"items": [{"index": {"status": 201}}, {"index": denial}]}, ["a", "b"])
