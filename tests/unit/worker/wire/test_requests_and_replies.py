"""Requests and replies of each dialect, and their headers, without a server."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.headers import TRUNCATED, UNSCORED, read_positions
from connector.models.scorer import Scores
from connector.worker.wire import (
    MAX_LISTED,
    CohereRequest,
    ScoreRequest,
    TeiRequest,
    best_first,
    build_cohere_reply,
    build_error,
    build_headers,
    build_score_reply,
    build_tei_reply,
    gather,
    may_use_cache,
    read_budget,
    read_scope,
    spans,
)
from connector.worker.wire.dialects import root_dialect, v1_dialect


def scores(*values: float, truncated: tuple[int, ...] = (), query_truncated: bool = False) -> Scores:
    return Scores(np.array(values, dtype=np.float32), truncated, query_truncated, (0,) * len(values))


def test_a_tei_reply_is_best_first_with_exactly_its_keys() -> None:
    reply = build_tei_reply(TeiRequest(query="q", texts=["a", "b", "c"]), scores(0.25, 2.0, -1.0))

    assert reply == [{"index": 1, "score": 2.0}, {"index": 0, "score": 0.25}, {"index": 2, "score": -1.0}]


def test_a_tei_reply_holds_the_text_on_demand_only() -> None:
    reply = build_tei_reply(TeiRequest(query="q", texts=["a"], return_text=True), scores(0.5))

    assert reply == [{"index": 0, "score": 0.5, "text": "a"}]


def test_a_whole_score_is_still_written_as_a_float() -> None:
    tei = build_tei_reply(TeiRequest(query="q", texts=["a"]), scores(1.0))
    cohere = build_cohere_reply(CohereRequest(query="q", documents=["a"]), scores(1.0))

    assert '"score": 1.0' in json.dumps(tei)
    assert '"relevance_score": 1.0' in json.dumps(cohere)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_a_score_is_written_with_as_many_digits_as_it_takes(value: float) -> None:
    """OpenSearch's connector fails at a number of more than 18 characters, which it reads as a BigDecimal."""
    cohere = build_cohere_reply(CohereRequest(query="q", documents=["a"]), scores(value))
    written = json.dumps(cohere["results"][0]["relevance_score"])

    assert len(written) <= 18
    assert np.float32(written) == np.float32(value)


def test_a_cohere_reply_has_exactly_its_keys() -> None:
    reply = build_cohere_reply(CohereRequest(query="q", documents=["a", {"text": "b"}]), scores(0.5, 0.75))

    assert set(reply) == {"id", "results", "meta", "model", "usage"}
    assert reply["results"] == [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}]
    assert reply["meta"] == {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}


def test_a_cohere_reply_holds_documents_on_demand_only() -> None:
    request = CohereRequest(query="q", documents=["a", {"text": "b", "other": 1}], return_documents=True)

    results = build_cohere_reply(request, scores(0.5, 0.75))["results"]

    assert [result["document"] for result in results] == [{"text": "b"}, {"text": "a"}]


@pytest.mark.parametrize(("count", "units"), [(1, 1), (100, 1), (101, 2), (1000, 10)])
def test_cohere_bills_a_unit_for_each_hundred_documents(count: int, units: int) -> None:
    reply = build_cohere_reply(CohereRequest(query="q", documents=["a"] * count), scores(*[0.0] * count))

    assert reply["meta"]["billed_units"] == {"search_units": units}


@given(st.lists(st.integers(0, 3).map(float), min_size=1, max_size=12), st.none() | st.integers(1, 15))
def test_the_best_come_first_and_the_earlier_of_equals(values: list[float], top_n: int | None) -> None:
    pairs = best_first(scores(*values), top_n)

    assert pairs == sorted(enumerate(values), key=lambda pair: (-pair[1], pair[0]))[: top_n or len(values)]


def test_unknown_keys_of_a_request_are_ignored() -> None:
    tei = TeiRequest.model_validate({"query": "q", "texts": ["a"], "truncate": True, "raw_scores": False, "x": 1})
    cohere = CohereRequest.model_validate({"query": "q", "documents": ["a"], "max_tokens_per_doc": 9, "model": "m"})

    assert (tei.texts, cohere.texts) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"texts": []}, "tei"),
        ({"texts": [], "documents": [], "return_documents": True}, "tei"),
        ({"documents": []}, "vllm"),
        ({"documents": [], "top_n": 1, "truncate_prompt_tokens": 5}, "vllm"),
        ({"documents": [], "return_documents": None}, "infinity"),
        ({"documents": [], "raw_scores": True}, "infinity"),
        ({}, "tei"),
        ([], "tei"),
        (None, "tei"),
    ],
)
def test_the_keys_tell_dialects_apart_on_the_root_path(body: object, dialect: str) -> None:
    assert root_dialect(body) == dialect


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"documents": [], "top_n": 3, "return_documents": True, "rank_fields": ["a"]}, "cohere"),
        ({"documents": [], "top_k": None}, "voyage"),
        ({"documents": [], "truncation": False}, "voyage"),
        ({}, "cohere"),
        ("top_k", "cohere"),
    ],
)
def test_the_keys_tell_voyage_apart(body: object, dialect: str) -> None:
    assert v1_dialect(body) == dialect


@given(st.data())
def test_pairs_keep_their_order_whatever_their_queries(data: st.DataObject) -> None:
    passages = data.draw(st.lists(st.text("ab", max_size=3), min_size=1, max_size=8))
    queries = data.draw(st.lists(st.text("xy", max_size=2), min_size=len(passages), max_size=len(passages)))
    request = ScoreRequest.model_validate({"text_1": queries, "text_2": passages})

    def score(query: str, text: str) -> float:
        return len(query) + 10.0 * len(text)

    found = gather(
        [
            (positions, scores(*(score(query, passages[position]) for position in positions)))
            for query, positions in request.queries().items()
        ]
    )

    assert found.values.tolist() == [score(*pair) for pair in zip(queries, passages, strict=True)]


def test_what_was_cut_of_several_queries_is_gathered() -> None:
    first = Scores(np.array([1.0, 2.0], dtype=np.float32), (1,), False, (2, 1))
    second = Scores(np.array([3.0], dtype=np.float32), (0,), True, (4,), (0,))

    found = gather([([0, 2], first), ([1], second)])

    assert (found.values.tolist(), found.truncated, found.query_truncated, found.tokens) == ([1, 3, 2], (1, 2), True, 7)
    assert (found.lengths, found.unscored) == ((2, 4, 1), (1,))


def test_what_was_not_scored_is_left_out_and_named() -> None:
    scores = Scores(np.array([1.0, np.nan, 3.0, np.nan], dtype=np.float32), (), False, (1, 0, 1, 0), (1, 3))

    assert best_first(scores, None) == [(2, 3.0), (0, 1.0)]
    assert [result["index"] for result in build_score_reply(scores, model="m")["data"]] == [0, 2]
    headers = build_headers(scores, kind="cross-encoder", fingerprint="f", took_ms=1.0)
    assert read_positions(headers[UNSCORED]) == {1, 3}


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("1500", 1.5), ("0", 0.0), ("12.5", 0.0125)])
def test_a_budget_is_read(header: str | None, seconds: float | None) -> None:
    assert read_budget(header) == seconds


@pytest.mark.parametrize("header", ["", "-1", "1e3", "nan", "inf", "1 s", "0x10", "1" * 10, "٣"])
def test_a_budget_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="x-budget-ms takes a number of milliseconds"):
        read_budget(header)


@given(st.sampled_from(["", "ann", "bob"]), st.none() | st.sampled_from(["a", "b", "ann"]))
def test_a_scope_is_its_principals_own(principal: str, header: str | None) -> None:
    scope = read_scope(header, principal=principal)

    others = [(other, header) for other in ("", "ann", "bob") for header in (None, "a", "b", "ann")]
    assert [other for other in others if read_scope(other[1], principal=other[0]) == scope] == [(principal, header)]
    assert len(scope) <= 64


@pytest.mark.parametrize(
    "body",
    [
        {"query": "q"},
        {"query": 1, "texts": []},
        {"query": "q", "texts": "a"},
        {"query": "q", "texts": [1]},
        {"query": "q", "texts": ["a"], "top_n": 0},
        {"query": "q", "texts": ["a"], "query_weights": [[0, 1]]},
        {"query": "q", "texts": ["a"], "query_weights": [[0, 1, float("nan")]]},
        {"query": "q", "texts": ["a"], "query_weights": [[float("inf"), 1, 1]]},
    ],
)
def test_a_tei_request_that_is_malformed_is_refused(body: dict) -> None:
    with pytest.raises(ValidationError):
        TeiRequest.model_validate(body)


def test_query_weights_become_spans() -> None:
    assert (spans(None), spans([[0.0, 3.0, 1.5]])) == (None, [(0, 3, 1.5)])


def test_headers_name_what_was_cut() -> None:
    headers = build_headers(
        scores(1.0, truncated=(0, 7), query_truncated=True), kind="k", fingerprint="f", took_ms=1.26
    )

    assert headers == {
        "x-reranker-kind": "k",
        "x-reranker-fingerprint": "f",
        "x-took-ms": "1.3",
        "x-truncated": "query,0,7",
    }


def test_headers_are_silent_where_nothing_was_cut() -> None:
    assert TRUNCATED not in build_headers(scores(1.0), kind="k", fingerprint="f", took_ms=1)


@given(st.lists(st.integers(0, 5_000), unique=True), st.booleans())
def test_what_was_cut_survives_its_header(positions: list[int], query: bool) -> None:
    headers = build_headers(
        scores(truncated=tuple(positions), query_truncated=query), kind="k", fingerprint="f", took_ms=1
    )

    assert read_positions(headers.get(TRUNCATED)) == set(positions[: MAX_LISTED - query])


@given(st.none() | st.text(alphabet=st.characters(max_codepoint=255)) | st.just("1," + "9" * 5_000) | st.just("²,٣"))
def test_any_header_is_read(header: str | None) -> None:
    assert all(position >= 0 for position in read_positions(header))


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/v1/rerank", {"message": "words", "detail": "words"}),
        ("/v2/rerank", {"message": "words"}),
        ("/score", {"error": {"message": "words", "type": "validation", "param": None, "code": 422}}),
        ("/v1/embeddings", {"error": {"message": "words", "type": "validation", "param": None, "code": 422}}),
        ("/v1/score", {"error": {"message": "words", "type": "validation", "param": None, "code": 422}}),
    ],
)
def test_an_error_speaks_the_dialect_of_its_path(path: str, error: dict) -> None:
    assert build_error(path, 422, "validation", "words") == error


@pytest.mark.parametrize("path", ["/rerank", "/info", "/"])
def test_an_error_speaks_tei_elsewhere(path: str) -> None:
    assert build_error(path, 422, "validation", "words") == {"error": "words", "error_type": "validation"}


@pytest.mark.parametrize(
    ("header", "reads"), [(None, True), ("max-age=0", True), ("no-cache", False), ("max-age=0, No-Cache", False)]
)
def test_a_caller_can_ask_for_scores_that_are_not_remembered(header: str | None, reads: bool) -> None:
    assert may_use_cache(header) is reads
