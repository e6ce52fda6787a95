"""Each dialect of rerank servers over HTTP: its replies, to the letter."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.parts import OverlapScorer
from support.worker.worker_app import COHERE, LIST, PASSAGES, TEI, message, post, rerank

# what the sigmoid makes of the logits 1, 0.5 and 0
HIGH, MIDDLE, LOW = 0.731058578630005, 0.622459331201855, 0.5


def test_tei_gets_a_bare_list_best_first(url: str) -> None:
    reply = rerank(url, TEI)

    assert reply.status_code == 200
    assert reply.json() == [{"index": 1, "score": HIGH}, {"index": 2, "score": MIDDLE}, {"index": 0, "score": LOW}]


def test_tei_gets_texts_and_a_cut_list_on_demand(url: str) -> None:
    reply = rerank(url, TEI, return_text=True, top_n=1)

    assert reply.json() == [{"index": 1, "score": HIGH, "text": "red fish"}]


def test_cohere_may_send_objects_and_get_them_back(url: str) -> None:
    body = rerank(url, COHERE, passages=[{"text": "red fish", "id": 7}], return_documents=True).json()

    assert body["results"] == [{"index": 0, "relevance_score": HIGH, "document": {"text": "red fish"}}]


USAGE = {"prompt_tokens": 3, "total_tokens": 3}
COHERE_REPLY = {
    "id": ...,
    "results": [
        {"index": 1, "relevance_score": HIGH},
        {"index": 2, "relevance_score": MIDDLE},
        {"index": 0, "relevance_score": LOW},
    ],
    "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
    "model": "overlap",
    "usage": USAGE,
}
COHERE_DOCUMENTS = [
    {"index": 1, "relevance_score": HIGH, "document": {"text": "red fish"}},
    {"index": 2, "relevance_score": MIDDLE, "document": {"text": "red bird"}},
    {"index": 0, "relevance_score": LOW, "document": {"text": "blue bird"}},
]
INFINITY_REPLY = {"object": "rerank", "results": ..., "model": "overlap", "usage": USAGE, "id": ..., "created": ...}
DIALECTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "TEI": (
        "/rerank",
        {
            "texts": PASSAGES,
            "truncate": False,
            "truncation_direction": "Left",
            "raw_scores": True,
            "return_text": False,
        },
        [{"index": 1, "score": 1.0}, {"index": 2, "score": 0.5}, {"index": 0, "score": 0.0}],
    ),
    "Elasticsearch hugging_face": (
        "/rerank",
        {"texts": PASSAGES, "return_text": True, "top_n": 1, "model": "inference-id"},
        [{"index": 1, "score": HIGH, "text": "red fish"}],
    ),
    "vLLM": (
        "/rerank",
        {"model": "any", "documents": PASSAGES, "top_n": 0, "truncate_prompt_tokens": 9, "max_tokens_per_doc": 9},
        {"id": ..., "results": COHERE_DOCUMENTS, "model": "overlap", "usage": USAGE},
    ),
    "Infinity": (
        "/rerank",
        {"model": "any", "documents": PASSAGES, "return_documents": False, "raw_scores": False, "top_n": 1},
        INFINITY_REPLY | {"results": [{"relevance_score": HIGH, "index": 1, "document": None}]},
    ),
    "Infinity, documents": (
        "/rerank",
        {"documents": PASSAGES, "return_documents": True, "top_n": 1},
        INFINITY_REPLY | {"results": [{"relevance_score": HIGH, "index": 1, "document": "red fish"}]},
    ),
    "Cohere 1": ("/v1/rerank", {"model": "any", "documents": PASSAGES, "max_chunks_per_doc": 5}, COHERE_REPLY),
    "Cohere 1, documents": (
        "/v1/rerank",
        {
            "documents": [{"title": "blue", "text": "bird"}, {"title": "red", "text": "fish"}, "red bird"],
            "rank_fields": ["title", "text"],
            "return_documents": True,
            "top_n": 2,
        },
        COHERE_REPLY | {"results": [COHERE_DOCUMENTS[0] | {"document": {"text": "red\nfish"}}, COHERE_DOCUMENTS[1]]},
    ),
    "Jina": (
        "/v1/rerank",
        {"model": "any", "documents": [{"text": text} for text in PASSAGES], "top_n": 3, "return_documents": True},
        COHERE_REPLY | {"results": COHERE_DOCUMENTS},
    ),
    "Voyage": (
        "/v1/rerank",
        {"model": "any", "documents": PASSAGES, "top_k": None, "truncation": True},
        {"object": "list", "data": COHERE_REPLY["results"], "model": "overlap", "usage": {"total_tokens": 3}},
    ),
    "Voyage, documents": (
        "/v1/rerank",
        {"documents": PASSAGES, "top_k": 1, "return_documents": True},
        {
            "object": "list",
            "data": [{"index": 1, "relevance_score": HIGH, "document": "red fish"}],
            "model": "overlap",
            "usage": {"total_tokens": 3},
        },
    ),
    "Cohere 2": (
        "/v2/rerank",
        {"model": "any", "documents": PASSAGES, "max_tokens_per_doc": 9, "priority": 3},
        COHERE_REPLY | {"meta": COHERE_REPLY["meta"] | {"api_version": {"version": "2"}}},
    ),
    "OpenSearch cohere": (
        "/v2/rerank",
        {"documents": PASSAGES, "top_n": 3},
        COHERE_REPLY | {"meta": COHERE_REPLY["meta"] | {"api_version": {"version": "2"}}},
    ),
}


def without_times(body: Any) -> Any:
    """A reply with what differs from call to call left open; raises where it has another type."""
    if isinstance(body, dict):
        kinds = {"id": str, "created": int}
        assert all(isinstance(body[key], kind) and body[key] for key, kind in kinds.items() if key in body)
        return body | {key: ... for key in kinds if key in body}
    return body


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_each_dialect_gets_exactly_its_reply(url: str, dialect: str) -> None:
    path, body, expected = DIALECTS[dialect]

    reply = post(url, path, {"query": "red fish"} | body)

    assert reply.status_code == 200, reply.text
    assert without_times(reply.json()) == expected


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_keys_that_no_dialect_knows_change_nothing(url: str, dialect: str) -> None:
    path, body, expected = DIALECTS[dialect]
    unknown = {"user": {"id": 7}, "priority": [], "stream": None, "query_": "x", "": 0, "texts_": 1}

    reply = post(url, path, {"query": "red fish"} | unknown | body)

    assert without_times(reply.json()) == expected


RAW: dict[str, tuple[str, dict[str, Any]]] = {
    "TEI": ("/rerank", {"texts": PASSAGES, "raw_scores": True}),
    "Infinity": ("/rerank", {"documents": PASSAGES, "raw_scores": True}),
    "vLLM": ("/rerank", {"documents": PASSAGES, "use_activation": False}),
    "vLLM on Jina's path": ("/v1/rerank", {"documents": PASSAGES, "use_activation": False}),
    "vLLM on Cohere's path, its older name": ("/v2/rerank", {"documents": PASSAGES, "activation": False}),
}


@pytest.mark.parametrize("dialect", list(RAW))
def test_who_asks_for_raw_scores_gets_those_of_the_model(url: str, dialect: str) -> None:
    path, body = RAW[dialect]

    reply = post(url, path, {"query": "red fish"} | body)

    items = reply.json() if isinstance(reply.json(), list) else reply.json()["results"]
    assert [item.get("score", item.get("relevance_score")) for item in items] == [1.0, 0.5, 0.0]
    assert re.search('score":1[.]0[,}]', reply.text)  # OpenSearch casts it to Double, which an integer is not


@pytest.mark.parametrize("dialect", ["TEI", "Infinity"])
@pytest.mark.parametrize("raw", [False, None])
def test_raw_scores_are_not_given_unasked(url: str, dialect: str, raw: bool | None) -> None:
    path, body = RAW[dialect]

    reply = post(url, path, {"query": "red fish"} | body | {"raw_scores": raw})

    assert f'score":{HIGH}' in reply.text


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_the_results_come_before_any_object(url: str, path: str) -> None:
    """Elasticsearch's reader of Cohere's replies has looked for them only until the first object ends."""
    text = rerank(url, path).text

    assert "{" not in text[1 : text.index('"results":')]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize(
    ("document", "names"),
    [({"title": "a"}, None), ({}, None), ({"text": "a"}, ["title"]), ({"title": ["a"]}, ["title"])],
)
def test_a_document_without_text_is_refused_by_its_position(
    url: str, path: str, document: dict[str, Any], names: list[str] | None
) -> None:
    reply = post(url, path, {"query": "red", "documents": ["a", document], "rank_fields": names})

    assert reply.status_code == 422
    assert f"document 1 has no text in {' or '.join(names or ['text'])}" in message(reply)


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text_1": "red fish", "text_2": "red bird"}, [MIDDLE]),
        ({"text_1": "red fish", "text_2": PASSAGES, "use_activation": False}, [0.0, 1.0, 0.5]),
        ({"text_1": "red fish", "text_2": PASSAGES}, [LOW, HIGH, MIDDLE]),
        ({"text_1": ["red fish"], "text_2": PASSAGES}, [LOW, HIGH, MIDDLE]),
        ({"text_1": ["red fish", "bird", "red fish"], "text_2": PASSAGES}, [LOW, LOW, MIDDLE]),
        ({"queries": "red fish", "documents": PASSAGES}, [LOW, HIGH, MIDDLE]),
    ],
)
def test_pairs_are_rated_in_their_order(url: str, path: str, body: dict[str, Any], expected: list[float]) -> None:
    reply = without_times(post(url, path, body | {"model": "any"}).json())

    tokens = len(expected)
    assert reply == {
        "id": ...,
        "object": "list",
        "created": ...,
        "model": "overlap",
        "data": [{"index": index, "object": "score", "score": score} for index, score in enumerate(expected)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def test_what_was_cut_of_pairs_is_named_by_its_position(url: str) -> None:
    reply = post(url, "/score", {"text_1": ["a", "b", "a " * 600], "text_2": ["a", "b " * 600, "c " * 600]})

    assert reply.headers["x-truncated"] == "query,1,2"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"text_1": "a", "text_2": []}, 400, "passages is empty"),
        ({"text_1": [], "text_2": []}, 400, "passages is empty"),
        ({"text_1": ["a", " "], "text_2": ["a", "b"]}, 400, "query is empty"),
        ({"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, 422, "send 1:1, 1:N or N:N"),
        ({"text_1": "a", "text_2": ["a"] * 21}, 422, "at most 20 are taken"),
        ({"text_1": "a", "text_2": [1]}, 422, "text_2"),
        ({"text_1": "a"}, 422, "text_2"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(url: str, body: dict[str, Any], status: int, words: str) -> None:
    reply = post(url, "/score", body)

    assert (reply.status_code, words in message(reply)) == (status, True), reply.text


@pytest.mark.parametrize("path", list(LIST))
def test_what_is_ours_comes_in_headers(url: str, path: str) -> None:
    headers = rerank(url, path, passages=["red", "long " * 300]).headers

    assert (headers["x-reranker-kind"], headers["x-reranker-fingerprint"]) == ("cross-encoder", "overlap@1")
    assert headers["x-truncated"] == "1"
    assert float(headers["x-took-ms"]) >= 0


def test_the_words_weights_reach_the_scorer(url: str, scorer: OverlapScorer) -> None:
    rerank(url, TEI, query_weights=[[0, 3, 1.5]])

    assert scorer.weights == [(0, 3, 1.5)]
