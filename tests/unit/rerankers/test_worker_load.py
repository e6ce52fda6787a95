"""How busy a worker is, as its client hears it by headers, before and with each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until
from support.runs.patience import PATIENCE_S
from support.servers.answering import Answering

from connector.errors import WorkerUnavailable
from connector.models.cross_encoder import CrossEncoderPlan
from connector.models.model import Piece
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

PASSAGES = ["x" * 100] * 100
DEADLINE_S = 1_000.0  # of which a tenth is waited for the server to say its load; a second more or less is nothing
LOAD = {"x-chars-per-s": "10", "x-max-chars": "2048", "x-queue-ms": "0", "x-waiting": "0"}
SCORES = [{"index": 0, "score": 1.0}]


async def test_a_worker_is_asked_how_busy_it_is_before_it_is_asked_for_scores(
    client: WorkerClient, server: Answering
) -> None:
    server.set(SCORES, headers=LOAD)
    with closing(client.expect(timeout_s=DEADLINE_S)) as turn:
        room = await turn.room(PASSAGES, least=10, timeout_s=DEADLINE_S)

    assert 60 <= room <= 70  # of 10 characters x 1,000 s, with three tenths to spare, and what has passed meanwhile
    assert [asked[:2] for asked in server.asked] == [("HEAD", "/info")]


async def test_every_reply_is_news(client: WorkerClient, server: Answering) -> None:
    server.set(SCORES, headers=LOAD | {"x-queue-ms": "600000"})
    await client.score("q", ["a"], timeout_s=60)
    with closing(client.expect(timeout_s=DEADLINE_S)) as turn:
        room = await turn.room(PASSAGES, least=5, timeout_s=DEADLINE_S)

    assert room == 10
    assert len(server.asked) <= 2  # it is not asked again so soon; on a busy machine it may be late


async def test_a_refusal_is_news_too(client: WorkerClient, server: Answering) -> None:
    server.set({"error": "busy"}, status=429, headers=LOAD | {"x-queue-ms": "500000"})
    with pytest.raises(WorkerUnavailable):
        await client.score("q", ["a"], timeout_s=60)
    with closing(client.expect(timeout_s=DEADLINE_S)) as turn:
        assert await turn.room(PASSAGES, least=5, timeout_s=DEADLINE_S) == 20


async def test_a_server_that_says_nothing_is_not_asked_again(client: WorkerClient, server: Answering) -> None:
    server.set(SCORES)
    with closing(client.expect(timeout_s=DEADLINE_S)) as turn:
        first = await turn.room(PASSAGES, least=10, timeout_s=DEADLINE_S)
        again = await turn.room(PASSAGES, least=10, timeout_s=DEADLINE_S)

    assert (first, again) == (100, 100)
    assert len(server.asked) == 1


async def test_no_worker_has_room_for_all_until_it_is_asked() -> None:
    client = WorkerClient("http://127.0.0.1:1")
    with closing(client.expect(timeout_s=10)) as turn:
        room = await turn.room(PASSAGES, least=10, timeout_s=10)
    await client.close()

    assert room == 100


async def test_a_worker_that_hangs_costs_a_tenth_of_the_time(client: WorkerClient, server: Answering) -> None:
    server.set(SCORES, pause_s=60)
    with closing(client.expect(timeout_s=10)) as turn:
        async with asyncio.timeout(9):
            assert await turn.room(PASSAGES, least=10, timeout_s=10) == 100


async def test_a_worker_tells_its_speed_before_its_first_request() -> None:
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        client = WorkerClient(url)
        with closing(client.expect(timeout_s=DEADLINE_S)) as turn:
            await turn.room(PASSAGES, least=10, timeout_s=DEADLINE_S)
        load = client._pace._load
        await client.close()

    assert load is not None
    assert load.chars_per_s > 0
    assert (load.queue_s, load.waiting, load.max_chars) == (0.0, 0, 2_048)


class Slow(OverlapScorer):
    """Reads a token for every four characters, and two thousand tokens a second: an eighth of a second at a time, next
    to which what a busy machine adds is little."""

    max_batch_tokens = 256

    def plan(self, query: str, passages: Sequence[str], **options: Any) -> CrossEncoderPlan:
        pieces = [Piece(len(text) // 4, (query, text)) for text in passages]
        return CrossEncoderPlan(pieces, tuple(piece.length for piece in pieces), (), False)

    def run(self, pieces: Sequence[Piece]) -> None:
        time.sleep(sum(piece.length for piece in pieces) / 2_000)
        super().run(pieces)


async def test_a_burst_is_scored_in_part_rather_than_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty at once for fifty passages each, of which a worker gets four hundred done a second. It is told to be done
    in three seconds, and the way back may take longer.

    How alike their shares are hangs on how steady the machine is: see tests/unit/rerankers/test_pace_under_load.py."""
    monkeypatch.setattr("connector.rerankers.worker.BUDGET_SHARE", 0.9 * 3 / PATIENCE_S)
    with serving(create_app(Slow, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        client = WorkerClient(url)
        await client.info(timeout_s=PATIENCE_S)  # its speed is then known, even where the next question is late
        turns = [client.expect(timeout_s=3) for _ in range(40)]

        async def ask(number: int) -> tuple[int, int]:
            passages = [f"passage {at} of {number}".ljust(20) for at in range(50)]
            with closing(turns[number]) as turn:
                room = await turn.room(passages, least=5, timeout_s=3)
                scores = await client.score("passage", passages[:room], timeout_s=PATIENCE_S)
            return room, scores.unscored

        found = await asyncio.gather(*(ask(number) for number in range(40)))
        await client.close()

    rooms = [room for room, _ in found]
    assert min(rooms) >= 5
    assert sum(rooms) <= 3 * 400
    assert all(unscored < room for room, unscored in found)
