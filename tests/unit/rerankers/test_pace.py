"""How much of a window a search asks a busy worker for."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.rerankers.pace import BEHIND, MARGIN, Pace, ServerLoad, read_load

HEADERS = {"x-chars-per-s": "1000", "x-max-chars": "2048", "x-queue-ms": "1500", "x-waiting": "3"}
sizes = st.lists(st.integers(0, 3_000), max_size=60)
rates = st.floats(10, 1e6)
times = st.floats(0.1, 60)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pace_of(rate: float, *, queue_s: float = 0.0, waiting: int = 0, clock: Clock | None = None) -> Pace:
    pace = Pace(clock or Clock())
    pace.hear(ServerLoad(rate, 2_048, queue_s, waiting))
    return pace


def test_news_are_read_from_headers() -> None:
    assert read_load(HEADERS) == ServerLoad(1000.0, 2048, 1.5, 3)


@pytest.mark.parametrize("name", list(HEADERS))
@pytest.mark.parametrize("value", ["", "nan", "-1", "inf", "1e300", "many", "1 000"])
def test_news_that_cannot_be_right_are_none(name: str, value: str) -> None:
    assert read_load(HEADERS | {name: value}) is None


def test_a_worker_that_does_not_know_its_speed_has_no_news() -> None:
    assert read_load({"x-queue-ms": "0", "x-waiting": "0"}) is None
    assert read_load(HEADERS | {"x-chars-per-s": "0"}) is None


@given(sizes, rates, times)
def test_a_search_alone_has_what_there_is_time_for(chars: list[int], rate: float, timeout_s: float) -> None:
    pace = pace_of(rate)
    with pace.turn(timeout_s) as turn:
        count = pace.fit(turn, chars, least=0, timeout_s=timeout_s)

    room = MARGIN * rate * timeout_s
    taken = [min(size, 2_048) for size in chars]
    assert sum(taken[:count]) <= room
    assert count == len(chars) or sum(taken[: count + 1]) > room


@given(sizes, st.integers(0, 60), rates, times, st.floats(0, 100), st.integers(0, 500))
def test_the_least_may_always_be_asked_for(
    chars: list[int], least: int, rate: float, timeout_s: float, queue_s: float, waiting: int
) -> None:
    pace = pace_of(rate, queue_s=queue_s, waiting=waiting)
    with pace.turn(timeout_s) as turn:
        count = pace.fit(turn, chars, least=least, timeout_s=timeout_s)

    assert min(least, len(chars)) <= count <= len(chars)


@given(st.integers(1, 30), st.floats(10, 200), st.floats(0.1, 10), st.floats(0, 5))
def test_searches_that_start_at_once_have_the_same(
    searches: int, rate: float, timeout_s: float, queue_s: float
) -> None:
    pace, passages = pace_of(rate, queue_s=queue_s), [1] * 2_000
    with ExitStack() as stack:
        turns = [stack.enter_context(pace.turn(timeout_s)) for _ in range(searches)]
        counts = [pace.fit(turn, passages, least=0, timeout_s=timeout_s) for turn in turns]

    room = max(MARGIN * timeout_s - queue_s, 0) * rate
    assert sum(counts) <= room + 1e-6 * room
    assert max(counts) - min(counts) <= 1
    assert min(counts) >= int(room / (searches + min(searches - 1, BEHIND))) - 1  # a part is left for those to come


@given(st.lists(st.tuples(times, st.integers(1, 200)), min_size=1, max_size=30), rates)
def test_no_more_is_asked_for_than_gets_done_by_each_deadline(searches: list[tuple[float, int]], rate: float) -> None:
    pace = pace_of(rate)
    asked: list[tuple[float, int]] = []
    with ExitStack() as stack:
        turns = [(stack.enter_context(pace.turn(timeout_s)), timeout_s, count) for timeout_s, count in searches]
        for turn, timeout_s, count in turns:
            given_chars = 100 * pace.fit(turn, [100] * count, least=0, timeout_s=timeout_s)
            asked.append((timeout_s, given_chars))

    for timeout_s, _ in asked:
        due = sum(chars for other_s, chars in asked if other_s <= timeout_s)
        assert due <= MARGIN * rate * timeout_s + 1e-6


def test_what_others_wait_for_is_left_to_them() -> None:
    idle, busy = pace_of(1_000), pace_of(1_000, queue_s=4.0, waiting=4)
    with idle.turn(10) as turn:
        alone = idle.fit(turn, [100] * 100, least=10, timeout_s=10)
    with busy.turn(10) as turn:
        among_others = busy.fit(turn, [100] * 100, least=1, timeout_s=10)

    assert alone == 70
    assert among_others == 3  # of the thirty that fit behind the queue, with others to come


def test_a_queue_runs_down_while_nothing_is_heard() -> None:
    clock = Clock()
    pace = pace_of(1_000, queue_s=6.0, clock=clock)
    with pace.turn(10) as turn:
        at_once = pace.fit(turn, [100] * 100, least=1, timeout_s=10)
        clock.now = 6.0
        later = pace.fit(turn, [100] * 100, least=1, timeout_s=10)

    assert (at_once, later) == (10, 70)


def test_of_a_long_passage_what_the_model_reads_counts() -> None:
    pace = pace_of(1_000)
    with pace.turn(10) as turn:
        assert pace.fit(turn, [100_000] * 100, least=1, timeout_s=10) == 3  # of 2,048 characters


def test_what_is_still_on_its_way_to_the_worker_is_not_forgotten() -> None:
    clock = Clock()
    pace = pace_of(1_000, clock=clock)
    with pace.turn(10) as first, pace.turn(10) as second:
        pace.fit(first, [100] * 100, least=60, timeout_s=10)
        clock.now = 0.1
        pace.hear(ServerLoad(1_000, 2_048, 0.0, 0))  # the answer to another, from before the first arrived
        assert pace.fit(second, [100] * 100, least=1, timeout_s=10) == 5  # half of what 6,000 leave of 7,000


def test_a_turn_that_ended_takes_no_room() -> None:
    pace = pace_of(1_000)
    with pace.turn(10) as first:
        pace.fit(first, [100] * 100, least=1, timeout_s=10)
    with pace.turn(10) as turn:
        assert pace.fit(turn, [100] * 100, least=1, timeout_s=10) == 70


def test_a_turn_that_asks_again_is_counted_once() -> None:
    pace = pace_of(1_000)
    with pace.turn(10) as turn:
        counts = {pace.fit(turn, [100] * 100, least=1, timeout_s=10) for _ in range(3)}

    assert counts == {70}


def test_of_a_server_that_says_nothing_the_first_asks_for_all_and_the_others_for_the_least() -> None:
    pace = Pace(Clock())
    with pace.turn(10) as first, pace.turn(10) as second:
        assert pace.fit(first, [100] * 100, least=10, timeout_s=10) == 100
        assert pace.fit(second, [100] * 100, least=10, timeout_s=10) == 10


def test_of_a_server_that_says_nothing_the_speed_is_measured() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(20):
        with pace.metered([100] * 10):
            clock.now += 1.0
        clock.now += 50.0  # idle
    with pytest.raises(TimeoutError), pace.metered([100] * 10):  # counts as time in which nothing got done
        raise TimeoutError
    with pace.turn(10) as turn, pace.turn(10) as hopeless:
        some = pace.fit(turn, [100] * 200, least=10, timeout_s=10)
        none = pace.fit(hopeless, [100] * 100, least=100, timeout_s=10)

    assert some == 23  # a third of 1,000 characters x 10 s x MARGIN: one is under way beside it, one may come
    assert none == 0


def test_side_by_side_requests_are_measured_together() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(10):
        with pace.metered([1_000]), pace.metered([1_000]):
            clock.now += 1.0
    with pace.turn(10) as turn:
        assert pace.fit(turn, [100] * 500, least=10, timeout_s=10) == 140
