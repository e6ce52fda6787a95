"""How a back-fill goes with what the engine can take, on a clock that is only counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from connector.backfill.pace.throttle import (
    FEWEST_OF_A_REQUEST,
    FIRST_DOCUMENTS,
    LEAST_DOCUMENTS,
    LONG_MS,
    MOST_DOCUMENTS,
    MOST_PAUSE_S,
    MOST_SLOW_PAUSE_S,
    WritePace,
)


@dataclass
class CountedClock:
    """A clock that only waiting moves."""

    now_s: float = 0.0
    waits: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


@dataclass
class CountedEngine:
    """An engine that writes so many documents in a second and has room for some at once; `others` take a share."""

    clock: CountedClock
    per_s: float
    room: int = 10_000
    others: float = 0.0
    written: int = 0
    rejections: int = 0

    def bulk(self, documents: int) -> tuple[float, int]:
        """(took_ms, rejected), and the time it took has passed."""
        room = int(self.room * (1 - self.others))
        taken = min(documents, room)
        took_s = 0.005 + taken / (self.per_s * (1 - self.others))
        self.clock.now_s += took_s
        self.written += taken
        self.rejections += documents > taken
        return took_s * 1000, documents - taken


@pytest.fixture
def clock() -> CountedClock:
    return CountedClock()


@pytest.fixture
def pace(clock: CountedClock) -> WritePace:
    return WritePace(clock=clock.read, sleep=clock.wait)


async def write(pace: WritePace, engine: CountedEngine, seconds: float) -> float:
    """Documents in a second, written for so long."""
    start_s, before = engine.clock.now_s, engine.written
    while engine.clock.now_s < start_s + seconds:
        await pace.wait()
        documents = pace.documents
        took_ms, rejected = engine.bulk(documents)
        pace.saw(took_ms, documents, rejected)
    return (engine.written - before) / (engine.clock.now_s - start_s)


async def test_an_idle_engine_is_used_nearly_in_full(pace: WritePace, clock: CountedClock) -> None:
    engine = CountedEngine(clock, per_s=2_000)

    assert await write(pace, engine, 60) > 0.95 * engine.per_s
    assert clock.waits == []


async def test_a_request_does_not_keep_a_write_thread_for_long(pace: WritePace, clock: CountedClock) -> None:
    await write(pace, CountedEngine(clock, per_s=200), 120)

    assert 0.4 * LONG_MS < pace.documents / 200 * 1000 < 1.2 * LONG_MS


async def test_where_memory_is_short_chunks_are_halved_and_pauses_doubled(pace: WritePace) -> None:
    seen = [(pace.documents, pace.pause_s)]
    for _ in range(4):
        pace.saw(20, pace.documents, rejected=pace.documents, no_room="memory")
        seen.append((pace.documents, pace.pause_s))

    assert seen == [(100, 0.0), (50, 0.5), (25, 1.0), (12, 2.0), (10, 4.0)]
    assert pace.report.rejected == 100 + 50 + 25 + 12


async def test_a_full_queue_counts_requests_so_chunks_stay_worth_one(pace: WritePace) -> None:
    for _ in range(20):
        pace.saw(1, pace.documents)
    assert pace.documents == 600
    for _ in range(20):
        pace.saw(None, pace.documents, rejected=pace.documents)

    assert (pace.documents, pace.pause_s) == (FEWEST_OF_A_REQUEST, MOST_PAUSE_S)


async def test_a_chunk_that_was_smaller_is_not_enlarged_by_a_rejection() -> None:
    pace = WritePace(40)
    pace.saw(None, 40, rejected=40)

    assert pace.documents == 40


async def test_neither_falls_below_what_gets_on(pace: WritePace) -> None:
    for _ in range(50):
        pace.saw(None, pace.documents, rejected=pace.documents, no_room="memory")

    assert (pace.documents, pace.pause_s) == (LEAST_DOCUMENTS, MOST_PAUSE_S)


async def test_one_full_shard_of_many_makes_no_long_pause(pace: WritePace) -> None:
    for _ in range(20):
        pace.saw(20, pace.documents, rejected=5)

    assert pace.pause_s == 0.5


async def test_after_a_flood_it_is_back_at_its_pace_within_seconds(pace: WritePace, clock: CountedClock) -> None:
    """A queue that is full for two minutes, and then is not."""
    engine = CountedEngine(clock, per_s=2_000)
    before, documents = await write(pace, engine, 60), pace.documents
    engine.room = 0
    await write(pace, engine, 120)
    engine.room = 10_000
    await write(pace, engine, 12)

    assert await write(pace, engine, 1) > 0.9 * before
    assert pace.documents > documents / 2


async def test_a_request_that_waited_for_others_is_made_up_for_once(pace: WritePace) -> None:
    """Most of the time it stood in a queue: smaller chunks would stand there as long."""
    for _ in range(60):
        pace.saw(100, pace.documents)
    documents = pace.documents
    pace.saw(3_000, documents)
    assert (pace.documents, pace.pause_s) == (documents, MOST_SLOW_PAUSE_S)
    pace.saw(100, documents)

    assert pace.pause_s == 0


async def test_writers_that_wait_go_one_after_the_other_and_time_counts_once(
    pace: WritePace, clock: CountedClock
) -> None:
    pace.saw(None, 100, rejected=100)
    await asyncio.gather(pace.wait(), pace.wait())

    assert clock.now_s == 2 * 0.5
    assert pace.report.waited_s == clock.now_s


async def test_it_settles_where_the_room_is_small(pace: WritePace, clock: CountedClock) -> None:
    engine = CountedEngine(clock, per_s=2_000, room=220)
    await write(pace, engine, 60)
    before = engine.rejections
    rate = await write(pace, engine, 60)

    assert engine.rejections - before < 60  # fewer than one each second
    assert rate > 0.25 * engine.per_s


async def test_when_others_need_the_engine_it_gives_way_and_comes_back(pace: WritePace, clock: CountedClock) -> None:
    engine = CountedEngine(clock, per_s=2_000)
    alone = await write(pace, engine, 60)
    engine.others = 0.8
    beside = await write(pace, engine, 10)
    engine.others = 0.0
    await write(pace, engine, 60)
    again = await write(pace, engine, 30)

    assert beside < 0.5 * 0.2 * alone  # less than half of what the engine had left
    assert again > 0.9 * alone
    assert min(pace.report.slow, pace.report.waited_s) > 0


async def test_chunks_grow_by_steps_to_a_bound(pace: WritePace) -> None:
    seen = []
    for _ in range(60):
        pace.saw(1, pace.documents)
        seen.append(pace.documents)

    assert seen[:3] == [FIRST_DOCUMENTS + 25, FIRST_DOCUMENTS + 50, FIRST_DOCUMENTS + 75]
    assert seen[-1] == MOST_DOCUMENTS


async def test_requests_that_were_not_full_prove_nothing_of_larger_ones(pace: WritePace) -> None:
    for _ in range(20):
        pace.saw(1, 5)

    assert pace.documents == FIRST_DOCUMENTS


async def test_a_users_bound_is_kept() -> None:
    pace = WritePace(4)
    for _ in range(9):
        pace.saw(1, pace.documents)
    pace.saw(1, 4, rejected=1)

    assert pace.documents == 4


async def test_what_is_heard_slows_at_once_and_holds_until_relief(pace: WritePace, clock: CountedClock) -> None:
    pace.heard("write queue", worse=True)
    assert (pace.documents, pace.pause_s) == (50, 0.5)
    await pace.wait()
    assert clock.waits == [0.5]
    pace.heard("write queue", worse=False)
    for _ in range(9):
        pace.saw(1, pace.documents)
    assert (pace.documents, pace.pause_s) == (50, 0.5)

    pace.relieved()
    pace.saw(1, pace.documents)

    assert (pace.documents, pace.pause_s) == (75, pytest.approx(0.15))
    assert pace.report.heard == {"write queue": 2}


async def test_what_was_waited_is_said_with_the_reasons(pace: WritePace) -> None:
    pace.saw(20, 100)
    assert pace.report.notes == []
    for _ in range(3):
        pace.saw(20, pace.documents, rejected=pace.documents)
        await pace.wait()
    pace.heard("write queue", worse=False)

    assert pace.report.notes == [
        "4 s were waited to leave the engine to others: write queue (1 times), updates that were rejected for want of "
        "room (325)"
    ]
