from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from parts import OverlapScorer

from connector.models.scorer import Cancelled, Scores
from connector.worker.lane import Lane, Overloaded


class Gate:
    """Holds a scorer before each passage while it is closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.open.wait(20)


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open.set()


async def still_there() -> bool:
    return False


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 20)


def submit(lane: Lane, *passages: str, hung_up=still_there) -> asyncio.Task[Scores]:
    return asyncio.create_task(lane.score("red", list(passages), hung_up=hung_up))


async def test_requests_are_scored_in_the_order_they_came(gate: Gate) -> None:
    order: list[str] = []

    class Noting(OverlapScorer):
        def score(self, query, passages, **options):
            order.extend(passages)
            return super().score(query, passages, **options)

    lane = Lane(Noting(gate), max_waiting=9)
    tasks = [submit(lane, name) for name in "abc"]
    await entered(gate)
    gate.open.set()
    await asyncio.gather(*tasks)

    assert order == ["a", "b", "c"]


async def test_beyond_the_line_a_request_is_turned_away_at_once(gate: Gate) -> None:
    lane = Lane(OverlapScorer(gate), max_waiting=2)
    waiting = [submit(lane, "red"), submit(lane, "red")]
    await entered(gate)

    with pytest.raises(Overloaded) as caught:
        await lane.score("red", ["red"], hung_up=still_there)
    assert caught.value.retry_after_s >= 1
    gate.open.set()
    assert [scores.values.tolist() for scores in await asyncio.gather(*waiting)] == [[1.0], [1.0]]


async def test_a_place_in_the_line_is_given_back(gate: Gate) -> None:
    gate.open.set()
    lane = Lane(OverlapScorer(gate), max_waiting=1)

    for _ in range(4):
        scores = await lane.score("red", ["red"], hung_up=still_there)

    assert scores.values.tolist() == [1.0]


async def test_a_caller_who_hung_up_while_waiting_is_never_scored(gate: Gate) -> None:
    scorer = OverlapScorer(gate)
    asked = asyncio.Event()

    async def gone_once_asked() -> bool:
        asked.set()
        return True

    lane = Lane(scorer, max_waiting=9)
    first = submit(lane, "red")
    await entered(gate)
    second = submit(lane, "red", "red", hung_up=gone_once_asked)
    await asked.wait()
    gate.open.set()

    with pytest.raises(Cancelled):
        await second
    await first
    assert scorer.scored == 1


async def test_a_caller_who_hangs_up_costs_no_further_batch(gate: Gate) -> None:
    scorer = OverlapScorer(gate)
    lane = Lane(scorer, max_waiting=9)
    asked = asyncio.Event()

    async def gone_once_asked() -> bool:
        asked.set()
        return True

    work = submit(lane, *["red"] * 50, hung_up=gone_once_asked)
    await asked.wait()
    gate.open.set()

    with pytest.raises(Cancelled):
        await work
    assert scorer.scored == 1


async def test_a_cancelled_request_gives_its_place_back_and_stops(gate: Gate) -> None:
    scorer = OverlapScorer(gate)
    lane = Lane(scorer, max_waiting=1)
    work = submit(lane, *["red"] * 50)
    await entered(gate)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    gate.open.set()

    scores = await lane.score("red", ["red"], hung_up=still_there)

    assert scores.values.tolist() == [1.0]
    assert scorer.scored == 2
