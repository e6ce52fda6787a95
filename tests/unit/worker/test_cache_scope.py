"""The worker over HTTP, with a real model: what it computed for one caller it does not find again for another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.parts import serving
from support.worker.worker_app import wait_ready

from connector.credentials import Credentials
from connector.models.late_interaction import LateInteractionScorer
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

TESTS = itertools.count(1)
ANN, BOB = Credentials.basic("ann", "secret"), Credentials.basic("bob", "secret")


@pytest.fixture(scope="module")
def scorer(tiny_encoder_folder: Path) -> LateInteractionScorer:
    return LateInteractionScorer(str(tiny_encoder_folder), device="cpu", cache_bytes=1_000_000)


@pytest.fixture(scope="module")
def url(scorer: LateInteractionScorer) -> Iterator[str]:
    with serving(create_app(lambda: scorer, WorkerSettings(score_cache_bytes=0))) as url:
        yield wait_ready(url)


@pytest.fixture
def passages() -> list[str]:
    """Three that no other test has, all of one length."""
    number = next(TESTS)
    return [f"{thing} {number}" for thing in ("blue bird", "red fish", "red bird")]


async def test_an_identical_text_is_computed_anew_for_another_caller(
    url: str, scorer: LateInteractionScorer, passages: list[str]
) -> None:
    client = WorkerClient(url)
    seen = []
    for scope in ("", ANN.scope, BOB.scope, ANN.scope, "", Credentials.basic("ann", "secret").scope):
        hits, misses = scorer.cache.hits, scorer.cache.misses
        scores = await client.score("red fish", passages, scope=scope, timeout_s=120)
        seen.append((scorer.cache.hits - hits, scorer.cache.misses - misses, scores.values.tolist()))
    await client.close()

    # the service, ann and bob compute; ann, the service and ann once more are served from what they computed themselves
    assert [counts[:2] for counts in seen] == [(0, 3), (0, 3), (0, 3), (3, 0), (3, 0), (3, 0)]
    assert all(counts[2] == seen[0][2] for counts in seen)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_every_route_keeps_to_the_scope(
    url: str, scorer: LateInteractionScorer, passages: list[str], path: str
) -> None:
    body = {"query": "red fish", "texts" if path == "/rerank" else "documents": passages}
    misses = []
    for scope in ("ann", "ann", "bob"):
        before = scorer.cache.misses
        assert httpx.post(url + path, json=body, headers={"X-Cache-Scope": scope}).status_code == 200
        misses.append(scorer.cache.misses - before)

    assert misses == [3, 0, 3]


async def test_a_client_that_wants_fresh_scores_gets_them_and_leaves_token_vectors_where_they_are(
    scorer: LateInteractionScorer, passages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    run = scorer.run
    monkeypatch.setattr(scorer, "run", lambda pieces: (ran.append(len(pieces)), run(pieces))[1])
    counts = []
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        wait_ready(url)
        for fresh in (False, False, True):
            ran.clear()
            client, misses = WorkerClient(url, fresh=fresh), scorer.cache.misses
            await client.score("red fish", passages, timeout_s=120)
            await client.close()
            counts.append((bool(ran), scorer.cache.misses - misses))

    assert counts == [(True, 3), (False, 0), (True, 0)]


@pytest.mark.parametrize("scope", ["", "two words", "x" * 65, "a,b", "../a"])
def test_a_scope_that_is_none_is_refused(
    url: str, scorer: LateInteractionScorer, passages: list[str], scope: str
) -> None:
    before = scorer.cache.misses
    reply = httpx.post(f"{url}/rerank", json={"query": "q", "texts": passages}, headers={"X-Cache-Scope": scope})

    assert reply.status_code == 422
    assert "x-cache-scope takes 1 to 64 letters and digits" in reply.json()["error"]
    assert scorer.cache.misses == before


async def test_the_header_tells_the_worker_nothing_of_the_credentials(url: str, passages: list[str]) -> None:
    sent: list[httpx.Request] = []

    class Recording(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return await super().handle_async_request(request)

    client = WorkerClient(url, transport=Recording())
    await client.score("red fish", passages, scope=ANN.scope, timeout_s=120)
    await client.score("red fish", passages, timeout_s=120)
    await client.close()

    assert [request.headers.get("x-cache-scope") for request in sent] == [ANN.scope, None]
    assert not any("authorization" in request.headers for request in sent)
    assert "secret" not in str(sent[0].headers)
