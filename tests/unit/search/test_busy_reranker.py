"""Searches whose reranker has too much to do for the whole window."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from support.searches import ENCODER, PATIENT, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.runs import answer_all
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import SearchRequest, StageOutcome

DEADLINE_S = 120.0
TWO = Settings.model_validate({"search": PATIENT | {"k": 2, "deadline_s": DEADLINE_S, "rerank": {"window": 5}}})
QUEUE_S = 76.8  # of 120 seconds, 84 of which are counted on


class Worker:
    """Says how busy it is, and that it reads so many characters within the deadline; takes `most` passages at a time,
    and notes how many it was asked for. It answers nobody before `together` have asked."""

    def __init__(
        self, *, chars: float, queue_s: float = 0.0, most: int = 99, together: int = 1, says: bool = True
    ) -> None:
        self.asked: list[int] = []
        self._most, self._together, self._all_are_here = most, together, asyncio.Event()
        self._headers = (
            {"x-chars-per-s": str(chars / DEADLINE_S), "x-max-chars": "2048", "x-waiting": "0"} if says else {}
        )
        if says:
            self._headers["x-queue-ms"] = str(queue_s * 1000)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/rerank":
            return httpx.Response(200, json={"kind": "cross-encoder"}, headers=self._headers)
        texts = json.loads(request.content)["texts"]
        self.asked.append(len(texts))
        if len(texts) > self._most:
            return httpx.Response(429, json={"error": "busy"}, headers=self._headers)
        if len(self.asked) >= self._together:
            self._all_are_here.set()
        await self._all_are_here.wait()
        scores = [{"index": at, "score": float(at)} for at in range(len(texts))]
        return httpx.Response(200, json=scores, headers=self._headers)

    def client(self) -> WorkerClient:
        return WorkerClient("http://worker", transport=httpx.MockTransport(self))


async def test_an_idle_reranker_has_the_full_window(index: EmbeddedIndex) -> None:
    response = await search(index, Worker(chars=10_000).client(), settings=TWO)

    assert response.stages["local"] == StageOutcome(ran=True, asked=5, done=5)
    assert response.notes == ()


async def test_a_busy_reranker_has_a_smaller_window_and_the_answer_says_so(index: EmbeddedIndex) -> None:
    worker = Worker(chars=1_000, queue_s=QUEUE_S)  # some 40 characters, of texts of 14 to 16
    response = await search(index, worker.client(), settings=TWO)

    asked = worker.asked[0]
    outcome = response.stages["local"]
    assert 2 <= asked < 5
    assert (outcome.ran, outcome.asked, outcome.done, outcome.shrunk) == (True, 5, asked, True)
    assert outcome.why == f"window {asked} of 5: worker busy"
    assert response.notes == (f"local: window {asked} of 5: worker busy",)
    assert response.degraded == ()
    assert len(response.hits) == 2
    assert {hit.stage for hit in response.hits} == {"local"}


async def test_k_pairs_are_asked_for_however_busy_it_is(index: EmbeddedIndex) -> None:
    worker = Worker(chars=1_000, queue_s=6_000)
    response = await search(index, worker.client(), settings=TWO)

    assert worker.asked == [2]
    assert response.stages["local"].why == "window 2 of 5: worker busy"


async def test_a_reranker_that_refuses_the_window_is_asked_for_k_pairs_at_once(index: EmbeddedIndex) -> None:
    worker = Worker(chars=10_000, most=3)
    response = await search(index, worker.client(), settings=TWO)

    assert worker.asked == [5, 2]
    assert response.stages["local"].why == "window 2 of 5: worker busy"
    assert response.degraded == ()


async def test_where_not_even_k_pairs_are_taken_the_answer_is_degraded(index: EmbeddedIndex) -> None:
    settings = TWO.model_copy(update={"search": TWO.search.model_copy(update={"tries": 1})})
    worker = Worker(chars=10_000, most=1)
    response = await search(index, worker.client(), settings=settings)

    assert worker.asked == [5, 2]
    assert [missing.stage for missing in response.degraded] == ["local"]
    assert (response.stages["local"].ran, response.stages["local"].done) == (False, 0)
    assert len(response.hits) == 2


async def test_a_reranker_that_has_no_room_is_not_asked(index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's server, which says nothing and is slow, as it turned out."""
    monkeypatch.setattr("connector.rerankers.pace._Meter.rate", 0.1)
    monkeypatch.setattr("connector.rerankers.pace._Meter.is_settled", True)
    worker = Worker(chars=0, says=False)
    response = await search(index, worker.client(), settings=TWO)

    assert worker.asked == []
    assert [missing.reason for missing in response.degraded] == [
        "the worker is busy: none of 5 passages would be scored in time"
    ]
    assert not response.stages["local"].ran


async def test_searches_at_once_share_the_reranker(index: EmbeddedIndex) -> None:
    """All of them are in their legs when the first one asks."""
    worker = Worker(chars=500, together=8)  # 330 characters in time, 22 texts
    searcher = Searcher(index, ENCODER, {"local": worker.client()}, TWO)
    responses = await asyncio.gather(*(searcher.search(SearchRequest("red fish")) for _ in range(8)))
    searcher.close()

    assert sum(worker.asked) <= 24
    assert min(worker.asked) == 2
    assert all(response.degraded == () for response in responses)


async def test_an_evaluation_counts_a_smaller_window_as_a_degraded_search(index: EmbeddedIndex) -> None:
    searcher = Searcher(index, ENCODER, {"local": Worker(chars=1_000, queue_s=6_000).client()}, TWO)
    answers = await answer_all(searcher, [JudgedQuery("q1", "red fish")])
    searcher.close()

    assert [missing.reason for missing in answers.degraded] == ["window 2 of 5: worker busy"]


@pytest.mark.parametrize("fault", [{"rerank": False}, {"filter": "kind=none"}])
async def test_a_search_that_asks_for_nothing_leaves_its_room_to_others(
    index: EmbeddedIndex, fault: dict[str, Any]
) -> None:
    client = Worker(chars=10_000).client()
    await search(index, client, settings=TWO, **fault)

    assert client._pace._turns == []
