from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import HashEncoder, ids, schema_of
from support.schemas import MADE

from connector.clusters.bulk import build_bulk, build_removal, build_source, read_outcomes, split_chunks
from connector.clusters.dialect import build_filter, magnify, with_stored_ids
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.failures import explain_error
from connector.clusters.hits import has_ids, read_hits
from connector.clusters.lexical import build_lexical
from connector.clusters.opensearch import OpenSearchDialect
from connector.clusters.original_text import to_original
from connector.clusters.protocol import ordered
from connector.clusters.term_counts import (
    build_term_statistics,
    build_word_counts,
    find_words,
    read_term_statistics,
    read_word_counts,
)
from connector.errors import AccessDenied, ClusterUnavailable
from connector.filters import And, Exists, Not, Or, Range, Terms
from connector.layout import VectorField
from connector.lexical import LexicalQuery
from connector.schema import Fields, IndexSchema
from connector.types import Document, Hit, IndexedDocument, Passage, TermFrequency, TermStatistics, WriteOutcome

MANAGED = schema_of(HashEncoder(dims=2), metadata={"year": "integer"})
FLAT = IndexSchema(Fields({"title": 2.0, "meta.body": 1.0}), None, **MADE, managed=False, vector_field="vec", dims=2)
VECTOR = np.array([0.6, 0.8], dtype=np.float32)
DIALECTS = [ElasticsearchDialect(), OpenSearchDialect()]


@pytest.mark.parametrize(
    ("found", "query"),
    [
        (Terms("a", ("x", "y")), {"terms": {"a": ["x", "y"]}}),
        (Range("a", {"gte": 1, "lt": 2}), {"range": {"a": {"gte": 1, "lt": 2}}}),
        (Exists("a"), {"exists": {"field": "a"}}),
        (Not(Exists("a")), {"bool": {"must_not": [{"exists": {"field": "a"}}]}}),
        (
            And((Exists("a"), Exists("b"))),
            {"bool": {"filter": [{"exists": {"field": "a"}}, {"exists": {"field": "b"}}]}},
        ),
        (
            Or((Exists("a"), Not(Exists("b")))),
            {
                "bool": {
                    "should": [{"exists": {"field": "a"}}, {"bool": {"must_not": [{"exists": {"field": "b"}}]}}],
                    "minimum_should_match": 1,
                }
            },
        ),
    ],
)
def test_a_filter_becomes_a_query_that_does_not_score(found: Any, query: Any) -> None:
    assert build_filter(found) == query


def test_the_lexical_leg_asks_all_text_fields_with_their_boosts() -> None:
    body = build_lexical(FLAT, LexicalQuery("red fish"), 7, None)

    assert body == {
        "query": {
            "bool": {
                "must": [
                    {"multi_match": {"query": "red fish", "fields": ["title^2", "meta.body^1"], "type": "most_fields"}}
                ]
            }
        },
        "size": 7,
        "_source": ["title", "meta.body"],
        "track_total_hits": False,
    }


def test_the_lexical_leg_brings_the_best_passage_without_a_say_in_the_score() -> None:
    (nested,) = build_lexical(MANAGED, LexicalQuery("red"), 7, None)["query"]["bool"]["should"]

    assert nested["nested"]["boost"] == 0
    assert nested["nested"]["inner_hits"]["size"] == 1


def test_the_lexical_leg_filters_without_scoring() -> None:
    body = build_lexical(MANAGED, LexicalQuery("red"), 7, Exists("year"))

    assert body["query"]["bool"]["filter"] == [{"exists": {"field": "year"}}]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.kind)
def test_the_dense_leg_returns_no_more_than_depth_and_of_a_document_its_id(dialect: Any) -> None:
    body = dialect.dense_body(MANAGED, VECTOR, 7, None, 1)
    older = dialect.dense_body(replace(MANAGED, keeps_ids=False), VECTOR, 7, None, 1)

    assert (body["size"], body["stored_fields"], body["docvalue_fields"]) == (7, "_none_", ["doc_id"])
    assert older == with_stored_ids(body)
    assert (older["size"], older["_source"]) == (7, False)


def test_elasticsearch_puts_the_filter_into_its_knn() -> None:
    knn = ElasticsearchDialect().dense_body(MANAGED, VECTOR, 80, {"exists": {"field": "year"}}, 2)["knn"]

    assert knn["filter"] == {"exists": {"field": "year"}}
    assert (knn["field"], knn["k"], knn["num_candidates"]) == ("passages.vector", 80, 160)
    assert knn["query_vector"] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(("depth", "candidates"), [(1, 100), (50, 100), (60, 120), (10_000, 10_000)])
def test_elasticsearch_looks_at_more_candidates_than_it_returns(depth: int, candidates: int) -> None:
    knn = ElasticsearchDialect().dense_body(MANAGED, VECTOR, depth, None, 1)["knn"]

    assert knn["num_candidates"] == candidates


def test_opensearch_ties_the_filter_of_nested_passages_to_their_documents() -> None:
    nested = OpenSearchDialect().dense_body(MANAGED, VECTOR, 80, {"exists": {"field": "year"}}, 2)["query"]["nested"]

    filters = nested["query"]["knn"]["passages.vector"]["filter"]["bool"]["filter"]
    assert filters == [{"term": {"unit": "document"}}, {"exists": {"field": "year"}}]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.kind)
def test_a_flat_index_is_searched_without_nesting(dialect: Any) -> None:
    body = orjson.dumps(dialect.dense_body(FLAT, VECTOR, 5, {"exists": {"field": "x"}}, 1))

    assert b"nested" not in body
    assert b"inner_hits" not in body
    assert b'"vec"' in body


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.kind)
@given(cosine=st.floats(-1, 1))
def test_a_dense_score_is_read_back_as_the_cosine(dialect: Any, cosine: float) -> None:
    assert dialect.cosine((1 + cosine) / 2, FLAT) == pytest.approx(cosine)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.kind)
def test_another_similarity_keeps_its_score(dialect: Any) -> None:
    assert dialect.cosine(0.25, replace(FLAT, similarity="l2_norm")) == 0.25


def test_a_vector_field_is_recognised_in_each_engines_mapping() -> None:
    elastic, opensearch = DIALECTS

    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3, "similarity": "dot_product"}) == VectorField(
        3, "dot_product"
    )
    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3}) == VectorField(3, "cosine")
    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3, "element_type": "bit", "index": False}) == (
        VectorField(3, "cosine", "bit", indexed=False)
    )
    assert opensearch.read_vector_field({"type": "knn_vector", "dimension": 3}) == VectorField(3, "l2")
    method = {"space_type": "cosinesimil"}
    assert opensearch.read_vector_field(
        {"type": "knn_vector", "dimension": 3, "data_type": "byte", "method": method}
    ) == (VectorField(3, "cosinesimil", "byte"))
    assert elastic.read_vector_field({"type": "text"}) is opensearch.read_vector_field({"type": "dense_vector"}) is None


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
    ("item", "fate"),
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
def test_each_action_of_a_bulk_reply_has_its_outcome(item: Any, fate: WriteOutcome) -> None:
    assert read_outcomes({"items": [item]}, ["a"]) == [fate]


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


def test_an_id_is_read_from_its_value_or_as_it_is_stored() -> None:
    inner = {"_nested": {"field": "passages", "offset": 1}, "fields": {"passages.text": ["P"]}}
    valued = {
        "_score": 2,
        "fields": {"doc_id": ["a"]},
        "inner_hits": {"nearest": {"hits": {"hits": [inner]}}},
    }
    stored = {"_id": "b", "_score": 1}

    assert read_hits({"hits": {"hits": [valued, stored]}}, MANAGED, 5) == (
        Hit("a", 2.0, (Passage("a", 1, "P"),)),
        Hit("b", 1.0),
    )
    assert has_ids({"hits": {"hits": [valued, stored]}})
    assert not has_ids({"hits": {"hits": [valued, {"_score": 1}]}})


def test_hits_are_ordered_by_score_then_doc_id_whatever_the_engine_says() -> None:
    reply = {"hits": {"hits": [{"_id": "z", "_score": 1}, {"_id": "b", "_score": 2}, {"_id": "a", "_score": 1}]}}

    assert ids(read_hits(reply, MANAGED, 2)) == ["b", "a"]


def test_a_managed_hit_carries_its_inner_passages() -> None:
    inner = {"_nested": {"offset": 3}, "fields": {"passages.text": ["the text"]}}
    reply = {"hits": {"hits": [{"_id": "a", "_score": 1, "inner_hits": {"nearest": {"hits": {"hits": [inner]}}}}]}}

    assert read_hits(reply, MANAGED, 5) == (Hit("a", 1.0, (Passage("a", 3, "the text"),)),)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"title": "T", "meta": {"body": "B"}}, "T\nB"),
        ({"title": ["T", "U"]}, "T\nU"),
        ({"title": None, "meta": {"body": 7}}, "7"),
        ({"meta": "no object"}, ""),
        ({}, ""),
    ],
)
def test_a_flat_hit_has_its_text_as_its_passage(source: Any, text: str) -> None:
    (hit,) = read_hits({"hits": {"hits": [{"_id": "a", "_score": 1, "_source": source}]}}, FLAT, 5)

    assert hit.passages == ((Passage("a", 0, text),) if text else ())


@given(
    st.lists(st.builds(Hit, st.text("abc", min_size=1, max_size=2), st.integers(0, 3).map(float), st.just(()))),
    st.integers(1, 5),
)
def test_an_ordered_reply_holds_each_document_once_with_its_best_score(hits: list[Hit], depth: int) -> None:
    result = ordered(hits, depth)

    best = {doc_id: max(hit.score for hit in hits if hit.doc_id == doc_id) for doc_id in ids(hits)}
    assert (
        list(result) == sorted((Hit(*pair) for pair in best.items()), key=lambda hit: (-hit.score, hit.doc_id))[:depth]
    )


def test_term_statistics_ask_every_text_field() -> None:
    body = build_term_statistics(MANAGED, "red fish")

    assert body["doc"] == {"title": "red fish", "text": "red fish"}


def test_a_term_counts_by_the_field_that_knows_it_best() -> None:
    def field(documents: int, frequency: int) -> Any:
        token = {"start_offset": 0, "end_offset": 3}
        return {
            "field_statistics": {"doc_count": documents},
            "terms": {"red": {"doc_freq": frequency, "tokens": [token]}},
        }

    read = read_term_statistics({"term_vectors": {"title": field(80, 2), "text": field(100, 9)}})

    assert read == TermStatistics(100, (TermFrequency(0, 3, 9),))


def test_a_term_that_no_document_holds_has_frequency_0() -> None:
    term = {"tokens": [{"start_offset": 0, "end_offset": 3}]}

    read = read_term_statistics({"term_vectors": {"text": {"terms": {"red": term}}}})

    assert read.terms == (TermFrequency(0, 3, 0),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"error": {"reason": "all shards failed", "caused_by": {"caused_by": {"reason": "deep"}}}},
            "deep (HTTP 500)",
        ),
        ({"error": "no handler"}, "no handler (HTTP 500)"),
        ("<html>", "<html> (HTTP 500)"),
        ({}, "refused (HTTP 500)"),
        (None, "refused (HTTP 500)"),
    ],
)
def test_an_engines_error_is_told_in_its_own_words(body: Any, words: str) -> None:
    assert explain_error(body, 500) == words


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


def test_a_hit_whose_passages_are_hidden_has_none() -> None:
    inner = {"_nested": {"offset": 0}, "_score": 0.5}
    hit = {"_id": "a", "_score": 1.0, "inner_hits": {"nearest": {"hits": {"hits": [inner]}}}}

    assert read_hits({"hits": {"hits": [hit]}}, schema_of(HashEncoder()), 10) == (Hit("a", 1.0),)


@given(st.floats(2.0**-20, 2.0**20, width=32), st.integers(0, 3))
def test_a_score_that_security_adds_to_comes_back_as_it_was(score: float, roles: int) -> None:
    """OpenSearch adds 1 for each role's term; single precision, as the engines reckon."""
    scale = OpenSearchDialect.scale
    seen = float(np.float32(np.float32(score) * np.float32(scale)) + np.float32(roles))
    reply = {"hits": {"hits": [{"_id": "a", "_score": seen}]}}
    (hit,) = read_hits(reply, schema_of(HashEncoder()), 10, scale)

    assert hit.score == pytest.approx(score, abs=roles / scale + score * 2e-7)
    assert roles or hit.score == score
    assert magnify({"query": {"q": 1}, "size": 3}, scale) == {
        "query": {"bool": {"must": [{"q": 1}], "boost": scale}},
        "size": 3,
    }
    assert magnify({"knn": {}}, ElasticsearchDialect.scale) == {"knn": {}}


def test_the_words_of_a_text_are_found_with_their_places() -> None:
    text = "The FL-2207's e-mail: don’t, 日本 👍 the"
    words = find_words(text)

    assert [word for _, _, word in words] == ["the", "fl", "2207's", "e", "mail", "don’t", "日本", "the"]
    assert all(text[start:end].lower() == word for start, end, word in words)


@given(st.text(max_size=200))
def test_any_text_has_words_in_order(text: str) -> None:
    words = find_words(text)

    assert [one[:2] for one in words] == sorted(one[:2] for one in words)
    assert all(text[start:end].lower() == word for start, end, word in words)


def test_a_long_text_has_as_many_words_as_are_counted_and_all_their_places() -> None:
    words = find_words(" ".join(f"w{at % 150}" for at in range(300)))

    assert len({word for _, _, word in words}) == 100
    assert len(words) == 200


def test_words_that_all_documents_have_are_left_out_as_stop_words_are() -> None:
    body = build_word_counts(schema_of(HashEncoder()), ["the", "fish", "none"])
    buckets = [{"doc_count": 9}, {"doc_count": 4}, {"doc_count": 0}]
    reply = {"hits": {"total": {"value": 9}}, "aggregations": {"words": {"buckets": buckets}}}

    assert len(body["aggs"]["words"]["filters"]["filters"]) == 3
    assert body["size"] == 0
    assert read_word_counts(reply, ["the", "fish", "none"]) == (9, {"fish": 4, "none": 0})
