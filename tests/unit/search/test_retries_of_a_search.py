"""A leg or a worker that breaks off is asked again; one that keeps failing is left alone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.parts import serving
from support.searches import ENCODER, PATIENT, TEXTS, ids, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import (
    ClusterError,
    ClusterUnavailable,
)
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import (
    SearchRequest,
)


class Flaky:
    """The index whose lexical leg fails so many times before it answers."""

    def __init__(self, index: EmbeddedIndex, error: Exception, times: int) -> None:
        self._index, self._error, self.left = index, error, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def lexical(self, *args: Any, **options: Any) -> Any:
        if self.left:
            self.left -= 1
            raise self._error
        return await self._index.lexical(*args, **options)


async def test_a_leg_that_breaks_off_once_is_asked_again(index: EmbeddedIndex) -> None:
    response = await search(Flaky(index, ClusterUnavailable("reset"), 1), None)

    assert response.degraded == ()
    assert ids(response) == ids(await search(index, None))


async def test_a_leg_is_tried_as_often_as_the_settings_say(index: EmbeddedIndex) -> None:
    patient = Settings.model_validate({"search": PATIENT | {"tries": 3}})
    flaky, broken = Flaky(index, ClusterUnavailable("reset"), 2), Flaky(index, ClusterUnavailable("reset"), 9)
    responses = [await search(flaky, None, settings=patient), await search(broken, None, settings=patient)]

    assert [[degradation.stage for degradation in response.degraded] for response in responses] == [[], ["lexical"]]
    assert (flaky.left, broken.left) == (0, 6)


async def test_the_log_has_the_traceback_of_what_a_search_goes_on_without(
    index: EmbeddedIndex, caplog: pytest.LogCaptureFixture
) -> None:
    error = ClusterError("no such field")
    error.__cause__ = KeyError("field")
    with caplog.at_level(logging.DEBUG, "connector.search.run"):
        response = await search(Flaky(index, error, 1), None)
    (record,) = (record for record in caplog.records if record.name == "connector.search.run")

    assert [part.stage for part in response.degraded] == ["lexical"]
    assert record.levelname == "DEBUG"
    assert "KeyError: 'field'" in (record.exc_text or "")


async def test_a_refusal_is_not_repeated(index: EmbeddedIndex) -> None:
    flaky = Flaky(index, ClusterError("no such field", status=400), 1)
    response = await search(flaky, None)

    assert [degradation.reason for degradation in response.degraded] == ["no such field"]


async def test_nobody_waits_longer_than_the_deadline_for_a_retry_after(index: EmbeddedIndex) -> None:
    flaky = Flaky(index, ClusterUnavailable("busy", status=429, retry_after_s=60), 1)
    response = await search(flaky, None, deadline_s=50.0)

    assert response.took_ms["total"] < 40_000
    assert [degradation.stage for degradation in response.degraded] == ["lexical"]


class FlakyWorker:
    """A server that answers /rerank with what it is told to; `asked` counts."""

    def __init__(self) -> None:
        self.status, self.asked, self.body, self.headers = 200, 0, b"", {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        status, body = 200, b'{"kind": "cross-encoder"}'
        headers = [(b"content-type", b"application/json"), *self.headers.items()]
        if scope["path"] == "/rerank":
            status, body = self.status, self.body
            self.asked += 1  # last: who sees it, in another thread, may say what comes next
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def flaky_worker() -> Iterator[tuple[FlakyWorker, str]]:
    app = FlakyWorker()
    with serving(app) as url:
        yield app, url


SCORES = b"[" + b", ".join(b'{"index": %d, "score": 1}' % at for at in range(len(TEXTS))) + b"]"
RESTING = PATIENT | {"breaker": {"failures": 3, "rest_s": 60}, "tries": 1, "rerank": {"window": 10}}


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (503, b"{}"), (200, b"[]"), (200, b"garbage")])
async def test_a_worker_that_keeps_failing_is_left_alone(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str], status: int, body: bytes
) -> None:
    app, url = flaky_worker
    app.status, app.body = status, body
    settings = Settings.model_validate({"search": RESTING})
    searcher = Searcher(index, ENCODER, {"local": WorkerClient(url)}, settings)
    responses = [await searcher.search(SearchRequest("red fish")) for _ in range(6)]

    assert [[degradation.stage for degradation in response.degraded] for response in responses] == [["local"]] * 6
    assert app.asked == 3
    assert "the reranker local failed 3 times in a row; it is left alone" in responses[-1].degraded[0].reason


async def test_a_worker_that_was_left_alone_comes_back(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str]
) -> None:
    app, url = flaky_worker
    app.status = 500
    breaker = {"breaker": {"failures": 1, "rest_s": 0.1}}
    settings = Settings.model_validate({"search": RESTING | breaker})
    searcher = Searcher(index, ENCODER, {"local": WorkerClient(url)}, settings)
    failed = await searcher.search(SearchRequest("red fish"))
    app.status, app.body = 200, SCORES
    end = time.monotonic() + 120
    while (healed := await searcher.search(SearchRequest("red fish"))).degraded:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)

    assert [missing.stage for missing in failed.degraded] == ["local"]
    assert {hit.stage for hit in healed.hits} == {"local"}


@pytest.mark.parametrize("status", [413, 422, 429])
async def test_a_worker_that_refuses_a_request_is_asked_again(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str], status: int
) -> None:
    app, url = flaky_worker
    app.status, app.body = status, b'{"error": "no"}'
    searcher = Searcher(index, ENCODER, {"local": WorkerClient(url)}, Settings.model_validate({"search": RESTING}))
    for _ in range(6):
        await searcher.search(SearchRequest("red fish"))

    assert app.asked == 6


async def test_a_busy_worker_is_asked_again_when_it_said_so(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str]
) -> None:
    app, url = flaky_worker
    app.status, app.body, app.headers = 429, SCORES, {b"retry-after": b"1"}
    searching = asyncio.create_task(search(index, WorkerClient(url)))
    while not app.asked:  # noqa: ASYNC110 (a server in another thread sets no event here)
        await asyncio.sleep(0.01)
    app.status = 200
    response = await searching

    assert response.degraded == ()
    assert app.asked == 2
    assert response.took_ms["local"] >= 1_000


async def test_lateness_under_a_short_deadline_is_not_the_workers_fault(
    index: EmbeddedIndex, flaky_worker: tuple[FlakyWorker, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.search.run.FAIR_S", 60.0)  # short beside it is what a busy machine can keep
    app, url = flaky_worker
    app.status = 500
    searcher = Searcher(index, ENCODER, {"local": WorkerClient(url)}, Settings.model_validate({"search": RESTING}))
    for _ in range(6):
        await searcher.search(SearchRequest("red fish", deadline_s=20))

    assert app.asked == 6
