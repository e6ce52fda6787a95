"""What is tried again, after how long, and when a part that keeps failing is left alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import CircuitOpen, ClusterUnavailable, IndexBlocked, WorkerError, WorkerUnavailable
from connector.retries import MAX_PAUSE_S, MAX_RETRY_AFTER_S, CircuitBreaker, Retry, pauses, read_retry_after


@given(first_s=st.floats(0.001, 60), attempts=st.integers(1, 20))
def test_there_is_a_pause_between_tries_and_none_after_the_last(first_s: float, attempts: int) -> None:
    waits = list(pauses(first_s, attempts))

    assert len(waits) == attempts
    assert waits[-1] is None
    for attempt, wait in enumerate(waits[:-1]):
        longest = min(first_s * 2**attempt, MAX_PAUSE_S)
        assert wait is not None
        assert longest / 2 <= wait <= longest


def test_pauses_have_jitter() -> None:
    assert len({next(pauses(1.0, 2)) for _ in range(20)}) > 10


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=240), usegmt=True)

    assert read_retry_after("7") == 7.0
    assert read_retry_after("0.5") == 0.5
    assert 120 < (read_retry_after(soon) or 0) <= 240
    assert read_retry_after("999999") == MAX_RETRY_AFTER_S
    assert read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "Wed, 99 Oct 2015", "21 Oct 2015 07:28:00"])
def test_a_retry_after_that_makes_no_sense_is_left_out(header: str | None) -> None:
    assert read_retry_after(header) is None


@given(st.text())
def test_no_header_breaks_the_reading(header: str) -> None:
    found = read_retry_after(header)

    assert found is None or 0 <= found <= MAX_RETRY_AFTER_S


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Part:
    """A part behind a breaker that fails while it is told to; `asked` counts the calls that reached it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.breaker = CircuitBreaker("the part", failures=3, rest_s=2.0, max_rest_s=8.0, clock=self.clock)
        self.error: Exception | None = None
        self.asked = 0

    def call(self) -> None:
        with self.breaker.watch(lambda error: isinstance(error, OSError)):
            self.asked += 1
            if self.error:
                raise self.error

    def fail(self, times: int = 1) -> None:
        self.error = OSError("down")
        for _ in range(times):
            with pytest.raises(OSError, match="down"):
                self.call()


def test_a_part_that_keeps_failing_is_left_alone() -> None:
    part = Part()
    part.fail(3)
    for _ in range(10):
        with pytest.raises(CircuitOpen, match="failed 3 times in a row; it is left alone for 2"):
            part.call()

    assert part.breaker.is_open
    assert part.asked == 3


def test_one_success_among_the_failures_keeps_it_closed() -> None:
    part = Part()
    for _ in range(5):
        part.fail(2)
        part.error = None
        part.call()

    assert part.asked == 15


def test_an_error_that_is_no_failure_shows_that_the_part_answers() -> None:
    part = Part()
    part.fail(2)
    part.error = ValueError("a bad request")
    with pytest.raises(ValueError, match="bad request"):
        part.call()
    part.fail(2)

    assert not part.breaker.is_open


def test_it_closes_by_itself_after_one_good_call() -> None:
    part = Part()
    part.fail(3)
    part.clock.now += 2.0
    part.error = None
    part.call()
    part.fail(2)

    assert not part.breaker.is_open


def test_each_failed_trial_doubles_the_rest_up_to_the_longest() -> None:
    part = Part()
    part.fail(3)
    rests = []
    for _ in range(4):
        began = part.clock.now
        while part.breaker.is_open:
            part.clock.now += 0.5
        rests.append(part.clock.now - began)
        part.fail()

    assert rests == [2.0, 4.0, 8.0, 8.0]


def test_a_rest_is_short_again_after_it_recovered() -> None:
    part = Part()
    part.fail(3)
    part.clock.now += 2.0
    part.fail()
    part.clock.now += 4.0
    part.error = None
    part.call()
    part.fail(3)
    part.clock.now += 2.0

    assert not part.breaker.is_open


async def test_one_call_at_a_time_tries_a_part_that_rested() -> None:
    part = Part()
    part.fail(3)
    part.clock.now += 2.0
    trying, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        with part.breaker.watch(lambda error: True):
            trying.set()
            await go.wait()

    trial = asyncio.create_task(slow())
    await trying.wait()
    with pytest.raises(CircuitOpen):
        part.call()
    go.set()
    await trial
    part.error = None
    part.call()

    assert part.asked == 4


async def test_a_trial_that_is_cancelled_leaves_the_next_one_free() -> None:
    part = Part()
    part.fail(3)
    part.clock.now += 2.0

    async def slow() -> None:
        with part.breaker.watch(lambda error: True):
            await asyncio.Event().wait()

    trial = asyncio.create_task(slow())
    await asyncio.sleep(0)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    part.error = None
    part.call()

    assert not part.breaker.is_open


class Failing:
    """Work that fails so many times before it gives an answer; `asked` counts."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.asked = times, error, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self.left:
            raise self.error
        return "answer"

    async def later(self) -> str:
        return self()


async def run_both_ways(retry: Retry, times: int, error: Exception) -> list[tuple[int, str]]:
    """How often work was asked and what came of it, awaited and blocking."""
    outcomes = []
    for is_blocking in (False, True):
        work = Failing(times, error)
        try:
            outcome = retry.run_blocking(work) if is_blocking else await retry.run(work.later)
        except Exception as raised:
            outcome = type(raised).__name__
        outcomes.append((work.asked, outcome))
    return outcomes


@pytest.mark.parametrize(
    ("times", "error", "outcome"),
    [
        (2, WorkerUnavailable("busy"), (3, "answer")),
        (3, WorkerUnavailable("busy"), (3, "WorkerUnavailable")),
        (1, WorkerError("no"), (1, "WorkerError")),
    ],
)
async def test_what_may_work_later_is_tried_again_up_to_the_last_attempt(
    times: int, error: Exception, outcome: tuple[int, str]
) -> None:
    retry = Retry((WorkerUnavailable,), attempts=3, first_s=0.001)

    assert await run_both_ways(retry, times, error) == [outcome, outcome]


async def test_what_no_second_attempt_helps_is_raised_at_once() -> None:
    retry = Retry((ClusterUnavailable,), attempts=3, first_s=0.001, never=(IndexBlocked,))

    assert await run_both_ways(retry, 1, IndexBlocked("it is blocked")) == [(1, "IndexBlocked")] * 2


async def test_a_wait_that_is_not_worth_it_is_not_waited_and_others_are_told_of() -> None:
    waits: list[float] = []
    retry = Retry(
        (WorkerUnavailable,),
        attempts=3,
        first_s=0.001,
        allows=lambda wait_s: wait_s < 1,
        on_retry=lambda error, wait_s: waits.append(wait_s),
    )
    patient = await run_both_ways(retry, 1, WorkerUnavailable("busy", retry_after_s=0.01))
    hurried = await run_both_ways(retry, 1, WorkerUnavailable("busy", retry_after_s=60))

    assert patient == [(2, "answer")] * 2
    assert hurried == [(1, "WorkerUnavailable")] * 2
    assert waits == [0.01, 0.01]
