"""The worker as its callers meet it: states of its model, load, failures, and callers who hang up."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from support.parts import Gate, OverlapScorer, serving, wait_until
from support.worker.worker_app import COHERE, LIST, PASSAGES, SETTINGS, TEI, message, post, rerank, wait_ready

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.model import Piece
from connector.worker.app import create_app


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
        may_load.wait(120)
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


@pytest.mark.parametrize("path", list(LIST))
def test_a_full_line_answers_429_with_when_to_come_again(
    gated: tuple[str, OverlapScorer], gate: Gate, path: str
) -> None:
    url, _ = gated
    with ThreadPoolExecutor() as pool:
        requests = [pool.submit(rerank, url, path) for _ in range(3)]  # one more than the line takes
        try:
            wait_until(lambda: any(request.done() for request in requests))
        finally:
            gate.open.set()
        replies = sorted((request.result() for request in requests), key=lambda reply: reply.status_code)

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert "too many requests" in message(replies[-1])


@pytest.mark.parametrize("path", [*LIST, "/score"])
def test_every_reply_says_how_busy_the_worker_is(gated: tuple[str, OverlapScorer], gate: Gate, path: str) -> None:
    url, _ = gated
    body = {"text_1": "red", "text_2": PASSAGES} if path == "/score" else {"query": "red", LIST[path]: PASSAGES}
    with ThreadPoolExecutor() as pool:
        requests = [pool.submit(post, url, path, body) for _ in range(3)]  # one more than the line takes
        try:
            wait_until(lambda: any(request.done() for request in requests))
            described = httpx.head(f"{url}/info")
        finally:
            gate.open.set()
        replies = [request.result() for request in requests]

    (refused,) = (reply for reply in replies if reply.status_code == 429)
    for reply in (*replies, described):
        assert float(reply.headers["x-queue-ms"]) >= 0
        assert float(reply.headers["x-chars-per-s"]) > 0
        assert reply.headers["x-max-chars"] == str(4 * 512)
    assert refused.headers["x-waiting"] == described.headers["x-waiting"] == "2"
    assert sorted(reply.headers["x-waiting"] for reply in replies if reply is not refused) == ["0", "1"]


def test_a_reply_says_how_much_waits_though_no_model_is_known() -> None:
    app = create_app(OverlapScorer, SETTINGS)
    with serving(app) as url:
        wait_ready(url)
        reply = rerank(url, TEI, passages=[])

    assert reply.status_code == 400
    assert (reply.headers["x-queue-ms"], reply.headers["x-waiting"]) == ("0", "0")
    assert "x-chars-per-s" not in reply.headers


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


def test_a_caller_who_hangs_up_costs_no_further_batch(gated: tuple[str, OverlapScorer], gate: Gate) -> None:
    url, scorer = gated
    scorer.scored = 0
    hang_up_after(url, 20, gate.entered.is_set)
    wait_until(lambda: "connector_worker_waiting 0.0" in httpx.get(f"{url}/metrics").text)  # it has been noticed
    gate.open.set()

    assert rerank(url, TEI, passages=["red"]).status_code == 200
    assert scorer.scored == 2  # the one that was under way, and that of the other caller


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
        reply, raw = rerank(url, TEI), rerank(url, TEI, raw_scores=True)

    values = scorer.score("red fish", PASSAGES).values.astype(float)
    assert {item["index"]: item["score"] for item in raw.json()} == pytest.approx(dict(enumerate(values)), abs=1e-6)
    probabilities = 1 / (1 + np.exp(-values))
    assert {item["index"]: item["score"] for item in reply.json()} == pytest.approx(
        dict(enumerate(probabilities)), abs=1e-6
    )


def test_replies_on_an_open_connection_wait_for_no_acknowledgement(url: str) -> None:
    """Which takes each of them 40 ms where the server's socket sends with delay."""
    body = {"query": "refunds", "texts": ["on refunds", "on deals"]}
    took_s = [1.0]
    with httpx.Client(base_url=url) as client:
        client.post("/rerank", json=body).raise_for_status()
        while min(took_s) >= 0.03 and len(took_s) < 200:  # on a busy machine some take as long for another reason
            began = time.perf_counter()
            client.post("/rerank", json=body).raise_for_status()
            took_s.append(time.perf_counter() - began)

    assert min(took_s) < 0.03
