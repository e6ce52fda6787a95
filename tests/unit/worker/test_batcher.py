"""The batcher: who comes next, what shares a batch, and who is turned away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from support.parts import Gate, OverlapScorer
from support.worker.batching import MANY, Noting, batching, enter, entered, score

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderPlan
from connector.worker.batcher import Closed
from connector.worker.request_queue import Overloaded


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


async def test_a_long_request_holds_no_short_one_up(gate: Gate) -> None:
    async with batching(Noting(gate)) as running:
        long = await enter(running, *MANY)
        await entered(gate)
        short = [await enter(running, name) for name in ("blue", "green")]
        gate.open.set()
        await asyncio.gather(*short)
        scores = await long

    order = [text for (text,) in running.scorer.batches]
    assert max(order.index("blue"), order.index("green")) <= 4  # one was under way, and every other batch is theirs
    assert scores.values.tolist() == [1.0] * 50


async def test_short_requests_do_not_hold_a_long_one_up_for_ever(gate: Gate) -> None:
    async with batching(Noting(gate)) as running:
        first = await enter(running, "first")
        await entered(gate)
        long = await enter(running, *MANY[:10])
        short = [await enter(running, f"short{at}") for at in range(30)]
        gate.open.set()
        await asyncio.gather(first, long, *short)

    order = [text for (text,) in running.scorer.batches]
    assert order.index("red 9") <= 22  # every other batch


async def test_the_earliest_deadline_comes_first(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.worker.request_queue.PATIENCE_S", 3_000.0)
    async with batching(Noting(gate)) as running:
        tasks = [await enter(running, "first")]
        await entered(gate)
        for name, budget_s in (("late", 3_000.0), ("soon", 1_000.0), ("sooner", 500.0), ("none", None)):
            tasks.append(await enter(running, f"{name} 1", f"{name} 2", budget_s=budget_s))
        gate.open.set()
        await asyncio.gather(*tasks)

    led_by_deadline = [text.split()[0] for (text,) in running.scorer.batches[2::2]]
    assert led_by_deadline[:3] == ["sooner", "sooner", "soon"]  # "late" came first, so the other batches went to it


async def test_requests_share_a_batch(gate: Gate) -> None:
    scorer = Noting(gate, max_batch_tokens=40)
    async with batching(scorer) as running:
        tasks = [await enter(running, "alone")]
        await entered(gate)
        tasks += [await enter(running, f"red {at}", f"blue {at}") for at in range(5)]
        gate.open.set()
        found = await asyncio.gather(*tasks)

    assert [len(batch) for batch in scorer.batches] == [1, 10]
    assert [scores.values.tolist() for scores in found[1:]] == [[1.0, 0.0]] * 5


async def test_a_batch_keeps_to_its_budget_and_to_like_lengths(gate: Gate) -> None:
    scorer = Noting(max_batch_tokens=40)
    passages = [" ".join(["word"] * length) + f" {length}{at}" for length in (1, 3, 9, 30, 60) for at in range(7)]
    async with batching(scorer) as running:
        await score(running, *passages)

    lengths = [[len(text.split()) for text in batch] for batch in scorer.batches]
    assert sorted(length for batch in lengths for length in batch) == sorted(len(text.split()) for text in passages)
    assert all(max(batch) * len(batch) <= 40 or len(batch) == 1 for batch in lengths)
    assert all(sum(batch) >= 0.75 * max(batch) * len(batch) for batch in lengths)
    assert len(lengths) < 22


async def test_what_is_not_scored_within_the_budget_is_named_and_costs_nothing_more(gate: Gate) -> None:
    steps = threading.Semaphore(3)
    scorer = OverlapScorer(lambda: steps.acquire(timeout=120))
    async with batching(scorer) as running:
        scores = await score(running, *MANY, budget_s=0.5)
        steps.release(100)
        other = await score(running, "red", "blue")

    in_time = 50 - len(scores.unscored)  # three, unless the machine stood still meanwhile
    assert in_time <= 3
    assert scores.values[:in_time].tolist() == [1.0] * in_time
    assert np.isnan(scores.values[in_time:]).all()
    assert scores.unscored == tuple(range(in_time, 50))
    assert other.values.tolist() == [1.0, 0.0]
    assert scorer.scored <= in_time + 3  # one under way, and two of the other request


async def test_beyond_the_line_a_request_is_turned_away_at_once(gate: Gate) -> None:
    async with batching(OverlapScorer(gate), max_waiting=2) as running:
        waiting = [await enter(running, "red"), await enter(running, "red b")]

        with pytest.raises(Overloaded) as caught:
            await score(running, "red")
        assert caught.value.retry_after_s >= 1
        gate.open.set()
        assert [scores.values.tolist() for scores in await asyncio.gather(*waiting)] == [[1.0], [1.0]]


async def test_a_request_that_would_wait_too_long_is_turned_away_at_once(gate: Gate) -> None:
    async with batching(OverlapScorer(gate), max_wait_s=1_000.0) as running:
        waiting = await enter(running, *MANY)
        await entered(gate)
        running.rate = 0.1  # tokens per second, so that 49 passages take about 490 s
        alike = [f"{text} again" for text in MANY]

        with pytest.raises(Overloaded) as caught:
            await score(running, *alike, budget_s=100.0)
        short = await enter(running, "blue", budget_s=100.0)  # which is not held up by the long one
        patient = await enter(running, *alike, budget_s=2_000.0)
        running.rate = 0.05
        with pytest.raises(Overloaded) as caught_too:
            await score(running, *alike)
        gate.open.set()
        await asyncio.gather(waiting, patient, short)

    assert caught.value.retry_after_s == 490
    assert caught_too.value.retry_after_s >= 2_000
    assert running.batcher.queue.places == []


async def test_how_long_a_request_takes_is_guessed_by_those_before_it(gate: Gate) -> None:
    """Texts of three tokens that look like two: a newcomer is no shorter than those who wait."""
    async with batching(Noting(gate), max_wait_s=20.0) as running:
        waiting = [await enter(running, *(f"a b {at}" for at in range(start, start + 40))) for start in (10, 50)]
        await entered(gate)
        running.rate = 10.0  # 24 s wait, less a batch
        with pytest.raises(Overloaded) as caught:
            await score(running, *(f"b a {at}" for at in range(10, 50)))
        gate.open.set()
        await asyncio.gather(*waiting)

    assert caught.value.retry_after_s == 24


async def test_nobody_waits_to_be_cut_off(gate: Gate) -> None:
    async with batching(Noting(gate)) as running:
        waiting = await enter(running, *(f"a b {at}" for at in range(10, 30)), budget_s=900.0)
        await entered(gate)
        running.rate = 0.1  # 570 s wait
        long = [f"b a {at}" for at in range(10, 60)]  # 1,500 s

        with pytest.raises(Overloaded):
            await score(running, *long[:20], budget_s=1_000.0)  # as long, with 400 s left
        with pytest.raises(Overloaded):
            await score(running, *long[:18], budget_s=1_220.0)  # nearly as long: it does not go before
        with pytest.raises(Overloaded):
            await score(running, *long[:20], budget_s=1_250.0)  # 50 s to spare are no tenth
        with pytest.raises(Overloaded):
            await score(running, *long, budget_s=1_000.0)  # less than half of its time is left
        in_part = await enter(running, *long, budget_s=2_000.0)  # half is scored, at least
        gate.open.set()
        await asyncio.gather(waiting, in_part)


async def test_a_burst_waits_as_long_as_its_budgets_allow(gate: Gate) -> None:
    async with batching(Noting(gate), max_waiting=512) as running:
        running.rate = 10.0
        burst = [await enter(running, *(f"{name} {at}" for at in range(5)), budget_s=200.0) for name in range(100)]
        waiting = running.batcher.queue.under_way
        gate.open.set()
        found = await asyncio.gather(*burst)

    assert waiting == 100
    assert all(not scores.unscored for scores in found)


async def test_who_is_due_first_is_not_refused_for_those_who_have_time(gate: Gate) -> None:
    """500 seconds of work wait, all of which may take 2,000; a request of 100 seconds' work has 400."""
    async with batching(Noting(gate)) as running:
        waiting = [
            await enter(running, *(f"later{name} {at}" for at in range(5)), budget_s=2_000.0) for name in range(5)
        ]
        await entered(gate)
        running.rate = 0.1
        hurried = await enter(running, *(f"now {at}" for at in range(5)), budget_s=400.0)
        with pytest.raises(Overloaded):  # where all have as little time, it would be too late
            await score(running, *(f"again {at}" for at in range(5)), budget_s=150.0)
        gate.open.set()
        await asyncio.gather(*waiting, hurried)


async def test_memory_bounds_what_waits(gate: Gate) -> None:
    async with batching(OverlapScorer(gate), max_waiting_chars=100) as running:
        long = await enter(running, "red " * 100)  # alone, however long
        with pytest.raises(Overloaded):
            await score(running, "red", budget_s=60.0)
        gate.open.set()
        await long
        after = await score(running, "red", budget_s=60.0)

    assert after.values.tolist() == [1.0]


async def test_the_line_says_how_busy_it_is(gate: Gate) -> None:
    async with batching(Noting(gate)) as running:
        other = OverlapScorer()
        waiting = [await enter(running, *(f"a b {at}" for at in range(start, start + 40))) for start in (10, 50)]
        await entered(gate)
        unknown = running.batcher.queue.load(running.scorer)
        running.rate = 10.0
        load, elsewhere = running.batcher.queue.load(running.scorer), running.batcher.queue.load(other)
        gate.open.set()
        await asyncio.gather(*waiting)
        idle = running.batcher.queue.load(running.scorer)

    assert (unknown.queue_s, unknown.waiting, unknown.chars_per_s) == (0.0, 2, None)
    assert load.queue_s == pytest.approx(23.7)  # 80 passages of 3 tokens, one of which runs
    assert load.waiting == 2
    assert load.chars_per_s == pytest.approx(10 * 4 * 2 / 3)  # what looks like two tokens has three
    assert load.max_chars == 4 * running.scorer.max_length
    assert (elsewhere.queue_s, elsewhere.waiting, elsewhere.chars_per_s) == (load.queue_s, 0, None)
    assert (idle.queue_s, idle.waiting) == (0.0, 0)


async def test_the_speed_is_that_of_full_batches(gate: Gate) -> None:
    scorer = Noting(max_batch_tokens=100)
    async with batching(scorer) as running:
        await score(running, "one")
        small = running.rate
        await score(running, " ".join(["word"] * 90))
        full = running.rate
        for at in range(20):
            await score(running, f"one{at}")

    assert small == 0
    assert full > 0
    assert running.rate > 0.8 * full  # twenty batches of a hundredth


async def test_a_request_that_is_not_even_tokenized_in_time_is_answered_in_time() -> None:
    gate = threading.Event()

    class Slow(OverlapScorer):
        def plan(self, query: str, passages: Sequence[str], **options: Any) -> CrossEncoderPlan:
            assert gate.wait(120)
            return super().plan(query, passages, **options)

    async with batching(Slow()) as running:
        scores = await score(running, "red", "blue", budget_s=0.2)  # while the gate is closed
        gate.set()
        after = await score(running, "red")

    assert scores.unscored == (0, 1)
    assert after.values.tolist() == [1.0]


async def test_a_batcher_that_ends_answers_everybody(gate: Gate) -> None:
    async with batching(OverlapScorer(gate)) as running:
        waiting = [await enter(running, f"red {at}") for at in range(3)]
        await entered(gate)
        running.batcher.close()
        gate.open.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)

    assert found[0].values.tolist() == [1.0]
    assert [type(outcome) for outcome in found[1:]] == [Closed, Closed]


async def test_a_place_in_the_line_is_given_back(gate: Gate) -> None:
    gate.open.set()
    async with batching(OverlapScorer(gate), max_waiting=1) as running:
        for at in range(4):
            scores = await score(running, f"red {at}")
        waiting = running.batcher.queue.under_way

    assert scores.values.tolist() == [1.0]
    assert waiting == 0


async def test_a_caller_who_leaves_before_his_turn_is_never_scored(gate: Gate) -> None:
    scorer = OverlapScorer(gate)
    async with batching(scorer) as running:
        first = await enter(running, "red")
        await entered(gate)
        second = await enter(running, *MANY)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.open.set()
        await first
        await score(running, "last")

    assert scorer.scored == 2


async def test_a_cancelled_request_gives_its_place_back_and_stops(gate: Gate) -> None:
    scorer = OverlapScorer(gate)
    async with batching(scorer, max_waiting=1) as running:
        work = await enter(running, *MANY)
        await entered(gate)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        gate.open.set()

        scores = await score(running, "red")

    assert scores.values.tolist() == [1.0]
    assert scorer.scored == 2


async def test_a_request_that_the_model_fails_on_fails_alone(gate: Gate) -> None:
    async with batching(Noting(gate, max_batch_tokens=40)) as running:
        tasks = [await enter(running, "alone")]
        await entered(gate)
        tasks += [await enter(running, name) for name in ("red", "poison", "blue")]
        gate.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        after = await score(running, "red again")

    assert isinstance(found[2], ModelError)
    assert [scores.values.tolist() for scores in (found[1], found[3], after)] == [[1.0], [0.0], [1.0]]


async def test_models_never_share_a_batch(gate: Gate) -> None:
    first, second = Noting(gate, max_batch_tokens=6), Noting(gate, max_batch_tokens=6)
    async with batching(first) as running:
        tasks = [await enter(running, "alone")]
        await entered(gate)
        tasks.append(await enter(running, *MANY))
        tasks += [await enter(running, f"red {at}", "blue", scorer=second) for at in range(3)]
        gate.open.set()
        found = await asyncio.gather(*tasks)

    assert len(second.batches) < 6
    assert sorted(text for batch in second.batches for text in batch) == sorted(
        ["red 0", "red 1", "red 2"] + ["blue"] * 3
    )
    assert sorted(text for batch in first.batches for text in batch) == sorted(["alone", *MANY])
    assert [scores.values.tolist() for scores in found[2:]] == [[1.0, 0.0]] * 3


async def test_one_models_speed_says_nothing_of_anothers(gate: Gate) -> None:
    slow = OverlapScorer(gate)
    async with batching(OverlapScorer(gate)) as running:
        running.batcher.queue.rates[slow] = 0.01
        waiting = await enter(running, *MANY, scorer=slow)

        with pytest.raises(Overloaded):
            await score(running, *MANY, scorer=slow, budget_s=500.0)
        quick = await enter(running, "red", budget_s=500.0)
        gate.open.set()
        assert (await quick).values.tolist() == [1.0]
        await waiting


async def test_two_batches_of_a_model_that_allows_it_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=120)  # breaks unless two batches are at it at once
    scorer = OverlapScorer(both.wait)
    scorer.batches_at_once = 2
    async with batching(scorer) as running:
        scores = await score(running, "red", "blue")

    assert scores.values.tolist() == [1.0, 0.0]


async def test_no_batch_runs_beside_one_of_another_model(gate: Gate) -> None:
    entered_too = threading.Event()
    together = []

    def hold() -> None:
        gate()
        together.append(entered_too.wait(0.2))

    alone, other = OverlapScorer(hold), OverlapScorer(entered_too.set)
    other.batches_at_once = 2
    async with batching(alone) as running:
        tasks = [await enter(running, "red")]
        await entered(gate)
        tasks.append(await enter(running, "red", "blue", scorer=other))
        gate.open.set()
        await asyncio.gather(*tasks)

    assert together == [False]
    assert other.scored == 2
