from __future__ import annotations

import http.client
import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.model import Piece
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

SETTINGS = WorkerSettings(max_body_bytes=20_000, max_pairs=20)
PASSAGES = ["blue bird", "red fish", "red bird"]
TEI, COHERE = "/rerank", "/v2/rerank"
LIST = {TEI: "texts", "/v1/rerank": "documents", COHERE: "documents"}


def wait_ready(url: str) -> str:
    wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
    return url


@pytest.fixture(scope="module")
def scorer() -> OverlapScorer:
    return OverlapScorer()


@pytest.fixture(scope="module")
def url(scorer: OverlapScorer) -> Iterator[str]:
    with serving(create_app(lambda: scorer, SETTINGS)) as one:
        yield wait_ready(one)


def post(url: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
    return httpx.post(url + path, json=body, timeout=20, **options)


def rerank(
    url: str, path: str, query: str = "red fish", passages: list[Any] | None = None, **more: Any
) -> httpx.Response:
    return post(url, path, {"query": query, LIST[path]: PASSAGES if passages is None else passages, **more})


def message(reply: httpx.Response) -> str:
    """The words of an error, and a check of its dialect's shape."""
    body = reply.json()
    match reply.url.path:
        case "/score" | "/v1/score":
            assert set(body["error"]) == {"message", "type", "param", "code"}
            assert body["error"]["code"] == reply.status_code
            return str(body["error"]["message"])
        case "/v1/rerank":
            assert body == {"message": body["detail"], "detail": body["detail"]}
            return str(body["detail"])
        case "/v2/rerank":
            assert set(body) == {"message"}
            return str(body["message"])
        case _:
            assert set(body) == {"error", "error_type"}
            return str(body["error"])


def test_tei_gets_a_bare_list_best_first(url: str) -> None:
    reply = rerank(url, TEI)

    assert reply.status_code == 200
    assert reply.json() == [{"index": 1, "score": 1.0}, {"index": 2, "score": 0.5}, {"index": 0, "score": 0.0}]


def test_tei_gets_texts_and_a_cut_list_on_demand(url: str) -> None:
    reply = rerank(url, TEI, return_text=True, top_n=1)

    assert reply.json() == [{"index": 1, "score": 1.0, "text": "red fish"}]


def test_cohere_may_send_objects_and_get_them_back(url: str) -> None:
    body = rerank(url, COHERE, passages=[{"text": "red fish", "id": 7}], return_documents=True).json()

    assert body["results"] == [{"index": 0, "relevance_score": 1.0, "document": {"text": "red fish"}}]


USAGE = {"prompt_tokens": 3, "total_tokens": 3}
COHERE_REPLY = {
    "id": ...,
    "results": [
        {"index": 1, "relevance_score": 1.0},
        {"index": 2, "relevance_score": 0.5},
        {"index": 0, "relevance_score": 0.0},
    ],
    "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
    "model": "overlap",
    "usage": USAGE,
}
COHERE_DOCUMENTS = [
    {"index": 1, "relevance_score": 1.0, "document": {"text": "red fish"}},
    {"index": 2, "relevance_score": 0.5, "document": {"text": "red bird"}},
    {"index": 0, "relevance_score": 0.0, "document": {"text": "blue bird"}},
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
        [{"index": 1, "score": 1.0, "text": "red fish"}],
    ),
    "vLLM": (
        "/rerank",
        {"model": "any", "documents": PASSAGES, "top_n": 0, "truncate_prompt_tokens": 9, "max_tokens_per_doc": 9},
        {"id": ..., "results": COHERE_DOCUMENTS, "model": "overlap", "usage": USAGE},
    ),
    "Infinity": (
        "/rerank",
        {"model": "any", "documents": PASSAGES, "return_documents": False, "raw_scores": False, "top_n": 1},
        INFINITY_REPLY | {"results": [{"relevance_score": 1.0, "index": 1, "document": None}]},
    ),
    "Infinity, documents": (
        "/rerank",
        {"documents": PASSAGES, "return_documents": True, "top_n": 1},
        INFINITY_REPLY | {"results": [{"relevance_score": 1.0, "index": 1, "document": "red fish"}]},
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
            "data": [{"index": 1, "relevance_score": 1.0, "document": "red fish"}],
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
    assert re.search('score":1[.]0[,}]', reply.text)  # OpenSearch casts it to Double, which an integer is not


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_keys_that_no_dialect_knows_change_nothing(url: str, dialect: str) -> None:
    path, body, expected = DIALECTS[dialect]
    unknown = {"user": {"id": 7}, "priority": [], "stream": None, "query_": "x", "": 0, "texts_": 1}

    reply = post(url, path, {"query": "red fish"} | unknown | body)

    assert without_times(reply.json()) == expected


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
        ({"text_1": "red fish", "text_2": "red bird"}, [0.5]),
        ({"text_1": "red fish", "text_2": PASSAGES}, [0.0, 1.0, 0.5]),
        ({"text_1": ["red fish"], "text_2": PASSAGES}, [0.0, 1.0, 0.5]),
        ({"text_1": ["red fish", "bird", "red fish"], "text_2": PASSAGES}, [0.0, 0.0, 0.5]),
        ({"queries": "red fish", "documents": PASSAGES}, [0.0, 1.0, 0.5]),
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


@pytest.mark.parametrize("path", list(LIST))
def test_an_empty_list_and_an_empty_query_are_refused(url: str, path: str) -> None:
    replies = rerank(url, path, passages=[]), rerank(url, path, query="  ")

    assert [reply.status_code for reply in replies] == [400, 400]
    assert ["passages is empty" in message(replies[0]), message(replies[1])] == [True, "the query is empty"]


def test_tei_names_the_type_of_an_error(url: str) -> None:
    replies = rerank(url, TEI, passages=[]), post(url, TEI, {}), rerank(url, TEI, passages=["a"] * 21)

    assert [(reply.status_code, reply.json()["error_type"]) for reply in replies] == [
        (400, "empty"),
        (422, "validation"),
        (422, "validation"),
    ]


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"query": "q"}',
        b'{"query": 1, "texts": 2, "documents": 3}',
        b'{"query": "\xff"}',
        b"[" * 9_000,
    ],
    ids=["nothing", "broken", "list", "null", "no passages", "wrong types", "not utf-8", "deep"],
)
def test_a_body_that_cannot_be_read_is_refused_in_the_paths_dialect(url: str, path: str, body: bytes) -> None:
    reply = httpx.post(url + path, content=body, headers={"content-type": "application/json"})

    assert reply.status_code in (400, 422)
    assert message(reply)


@pytest.mark.parametrize("path", list(LIST))
@pytest.mark.parametrize("text", [b'"\\ud800"', b'"a \\udfff b"'])
def test_half_a_surrogate_pair_is_refused_and_kills_nothing(url: str, path: str, text: bytes) -> None:
    body = b'{"query": "red", "%b": [%b], "return_text": true}' % (LIST[path].encode(), text)

    reply = httpx.post(url + path, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 422
    assert message(reply)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_half_a_surrogate_pair_in_a_fields_name_is_refused(url: str, path: str) -> None:
    body = b'{"query": "q", "documents": [{"a": "b"}], "rank_fields": ["\\ud800"]}'

    assert httpx.post(url + path, content=body, headers={"content-type": "application/json"}).status_code == 422


def test_a_body_that_is_no_json_is_told_from_one_that_does_not_fit(url: str) -> None:
    headers = {"content-type": "application/json"}
    statuses = [httpx.post(url + TEI, content=body, headers=headers).status_code for body in (b"{", b"{}", b"[]")]

    assert statuses == [400, 422, 422]


@pytest.mark.parametrize("weights", ["[[0, 1, NaN]]", "[[Infinity, 1, 1]]", "[[0, 1]]", '"x"', "[[0, 1, 1e999]]"])
def test_weights_that_are_no_numbers_are_refused(url: str, weights: str) -> None:
    body = f'{{"query": "red", "texts": ["a"], "query_weights": {weights}}}'

    reply = httpx.post(url + TEI, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 422


def test_too_many_passages_are_refused_with_the_limit(url: str) -> None:
    reply = rerank(url, COHERE, passages=["a"] * 21)

    assert (reply.status_code, message(reply)) == (422, "21 passages in one request; at most 20 are taken")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/rerank", 405), ("/v2/rerank", 405)])
def test_a_wrong_path_or_method_speaks_the_paths_dialect(url: str, path: str, status: int) -> None:
    reply = httpx.get(url + path)

    assert reply.status_code == status
    assert message(reply)


@pytest.mark.parametrize("path", list(LIST))
def test_a_long_body_is_refused_by_its_announced_length(url: str, path: str) -> None:
    reply = rerank(url, path, passages=["x" * 20_001])

    assert reply.status_code == 413
    assert "longer than 20000 bytes" in message(reply)


@pytest.mark.parametrize("path", list(LIST))
def test_a_long_body_is_refused_without_an_announced_length(url: str, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"query": "q", "texts": ["'
        for _ in range(30):
            yield b"x" * 1_000
        yield b'"]}'

    reply = httpx.post(url + path, content=pieces(), headers={"content-type": "application/json"})

    assert reply.status_code == 413
    assert "longer than 20000 bytes" in message(reply)


def test_a_body_of_just_the_limit_is_read(url: str) -> None:
    frame = len(json.dumps({"query": "q", "texts": [""]}, separators=(",", ":")))

    reply = rerank(url, TEI, query="q", passages=["x" * (20_000 - frame)])

    assert reply.status_code == 200


def test_a_worker_says_what_it_is(url: str) -> None:
    info = httpx.get(f"{url}/info").json()

    assert info["kind"] == "cross-encoder"
    assert info["model_id"] == "overlap"
    assert info["model_type"] == {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}
    assert (info["max_client_batch_size"], info["max_input_length"]) == (20, 512)
    assert [httpx.get(url + path).status_code for path in ("/health", "/ready")] == [200, 200]


def test_a_model_that_loads_answers_503_and_then_works() -> None:
    may_load = threading.Event()

    def load() -> OverlapScorer:
        may_load.wait(20)
        return OverlapScorer()

    with serving(create_app(load, SETTINGS)) as url:
        try:
            early = [rerank(url, TEI), rerank(url, COHERE), httpx.get(f"{url}/ready"), httpx.get(f"{url}/info")]
            alive = httpx.get(f"{url}/health").status_code
        finally:
            may_load.set()
        wait_ready(url)
        late = rerank(url, TEI).status_code

    assert [reply.status_code for reply in early] == [503] * 4
    assert all(reply.headers["retry-after"] == "2" and "still loading" in message(reply) for reply in early)
    assert (alive, late) == (200, 200)


@pytest.mark.parametrize(
    "error", [ModelError("no such model"), OSError("disk"), RuntimeError("memory"), ValueError("config")]
)
def test_a_model_that_cannot_be_loaded_is_told_to_every_caller(error: Exception) -> None:
    def load() -> OverlapScorer:
        raise error

    with serving(create_app(load, SETTINGS)) as url:
        wait_until(lambda: "could not be loaded" in httpx.get(f"{url}/ready").text)
        reply = rerank(url, TEI)
        alive = httpx.get(f"{url}/health").status_code

    assert reply.status_code == 503
    assert str(error) in message(reply)
    assert "retry-after" not in reply.headers
    assert alive == 200


class Gate:
    """Holds a scorer before each passage while it is closed; open for the warm-up."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.open.wait(20)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(gate: Gate) -> Iterator[tuple[str, OverlapScorer]]:
    """A worker with a line of two whose scorer waits at the gate."""
    scorer = OverlapScorer(gate)
    with serving(create_app(lambda: scorer, WorkerSettings(max_waiting=2))) as url:
        wait_ready(url)
        gate.open.clear()
        gate.entered.clear()
        try:
            yield url, scorer
        finally:
            gate.open.set()


@pytest.mark.parametrize("path", list(LIST))
def test_a_full_line_answers_429_with_when_to_come_again(
    gated: tuple[str, OverlapScorer], gate: Gate, path: str
) -> None:
    url, _ = gated
    with ThreadPoolExecutor() as pool:
        requests = [pool.submit(rerank, url, path) for _ in range(3)]  # one more than the line takes
        try:
            wait_until(lambda: any(one.done() for one in requests))
        finally:
            gate.open.set()
        replies = sorted((one.result() for one in requests), key=lambda reply: reply.status_code)

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert "too many requests" in message(replies[-1])


def test_the_line_is_free_again_after_it_was_full(gated: tuple[str, OverlapScorer], gate: Gate) -> None:
    url, _ = gated
    gate.open.set()

    statuses = [rerank(url, TEI).status_code for _ in range(5)]

    assert statuses == [200] * 5


def hang_up_after(url: str, passages: int, condition: Callable[[], bool]) -> None:
    """Send a request and close the connection once the condition holds."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps({"query": "red", "texts": [f"red {at}" for at in range(passages)]})
    connection.request("POST", TEI, body, {"content-type": "application/json"})
    wait_until(condition)
    connection.close()


def test_a_caller_who_hangs_up_costs_no_further_batch(gate: Gate) -> None:
    steps = threading.Semaphore(0)
    scorer = OverlapScorer()
    with serving(create_app(lambda: scorer, SETTINGS)) as url:
        wait_ready(url)
        scorer.scored = 0
        began = threading.Event()

        def slow() -> None:
            began.set()
            steps.acquire(timeout=0.1)

        scorer.before_batch = slow
        hang_up_after(url, 20, began.is_set)
        scorer.before_batch = slow
        wait_until(lambda: rerank(url, TEI, passages=["red"]).status_code == 200)

    assert scorer.scored < 15


class BadScorer(OverlapScorer):
    def run(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            query, _ = piece.content
            if query == "raise":
                raise RuntimeError("out of memory")
            piece.result = math.nan if query == "nan" else 1.0


@pytest.mark.parametrize("path", list(LIST))
def test_scores_that_are_no_numbers_are_never_sent(path: str) -> None:
    with serving(create_app(BadScorer, SETTINGS)) as url:
        wait_ready(url)
        reply = rerank(url, path, query="nan")

    assert reply.status_code == 424
    assert "not a finite number" in message(reply)


def test_a_scorer_that_fails_once_works_on() -> None:
    with serving(create_app(BadScorer, SETTINGS)) as url:
        wait_ready(url)
        replies = [rerank(url, TEI, query=query) for query in ("raise", "fine", "raise", "fine")]

    assert [reply.status_code for reply in replies] == [424, 200, 424, 200]
    assert message(replies[0]) == "the model failed: out of memory"


def test_a_real_cross_encoder_behind_the_wire_gives_its_own_scores(tiny_cross_encoder_folder: Path) -> None:
    scorer = CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu")
    with serving(create_app(lambda: scorer, SETTINGS)) as url:
        wait_ready(url)
        reply = rerank(url, TEI)

    values = scorer.score("red fish", PASSAGES).values
    assert {one["index"]: one["score"] for one in reply.json()} == pytest.approx(
        dict(enumerate(map(float, values))), abs=1e-6
    )


def test_replies_on_an_open_connection_wait_for_no_acknowledgement(url: str) -> None:
    """Which takes 40 ms where the server's socket sends with delay."""
    with httpx.Client(base_url=url) as client:
        took = []
        for _ in range(10):
            began = time.perf_counter()
            client.post("/rerank", json={"query": "refunds", "texts": ["on refunds", "on deals"]}).raise_for_status()
            took.append(time.perf_counter() - began)

    assert min(took[1:]) < 0.03
