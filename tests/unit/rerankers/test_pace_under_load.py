"""Searches that share a worker, by the clock of a simulation: what became of each, and how busy the worker was."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

import pytest
from support.worker.load import Clock, Outcome, Process, SimulatedWorker

from connector.evaluation.statistics.latency import percentile

CHARS_PER_S = 120_000  # 150 passages of 800 characters
WARM_S, END_S, REST_S = 15.0, 50.0, 20.0
DEADLINE_S = 10.0


@dataclass
class Run:
    """What searches without pause came to; `busy` is what the worker got done of what it could."""

    outcomes: list[Outcome]
    busy: float

    @property
    def scored(self) -> list[int]:
        return sorted(outcome.scored for outcome in self.outcomes)

    @property
    def p99_s(self) -> float:
        return percentile([outcome.took_s for outcome in self.outcomes], 0.99)


def run(clients: int, *, processes: int = 1, says: bool = True, **options: Any) -> Run:
    clock = Clock()
    worker = SimulatedWorker(clock, chars_per_s=CHARS_PER_S, says=says)
    started = [
        Process(clock, worker, deadline_s=DEADLINE_S, seed=number, **options) for number in range(1, processes + 1)
    ]
    for process in started:
        process.keep_asking(clients // processes, END_S)
    clock.run_until(WARM_S)
    before = worker.done_chars
    clock.run_until(END_S)
    busy = (worker.done_chars - before) / CHARS_PER_S / (END_S - WARM_S)
    clock.run_until(END_S + REST_S)
    return Run([outcome for process in started for outcome in process.outcomes], busy)


@pytest.mark.parametrize("clients", [2, 4, 8, 16, 32, 64])
def test_every_search_is_reranked_in_time_and_the_worker_is_never_idle(clients: int) -> None:
    found = run(clients)

    assert found.scored[0] >= 10
    assert found.p99_s < DEADLINE_S * 0.97
    assert found.busy >= 0.95


def test_a_search_alone_has_its_full_window() -> None:
    assert set(run(1).scored) == {100}


def test_windows_shrink_alike() -> None:
    """Nineteen in twenty searches have within two thirds and three halves of the mean."""
    found = run(32).scored
    fair = mean(found)

    assert fair < 40
    assert found[len(found) // 40] >= fair / 1.5
    assert found[-len(found) // 40] <= fair * 1.5


@pytest.mark.parametrize("legs_s", [(0.0, 0.0), (0.05, 0.3), (0.5, 1.0)])
def test_a_burst_is_shared_alike_and_all_that_is_asked_for_is_scored(legs_s: tuple[float, float]) -> None:
    """Forty at once for fifty passages of 200 to 1,400 characters, of which the worker has time for some twenty."""
    clock = Clock()
    worker = SimulatedWorker(clock, chars_per_s=3 * CHARS_PER_S)
    process = Process(clock, worker, deadline_s=3.0, legs_s=legs_s, pairs=50, least=5)
    for _ in range(40):
        clock.start(process.search())
    clock.run_until(END_S)
    asked = [outcome.asked for outcome in process.outcomes]

    assert (len(asked), worker.refused) == (40, 0)
    assert 10 <= min(asked) <= max(asked) <= 2.5 * min(asked)
    assert [outcome.scored for outcome in process.outcomes] == asked


def test_windows_are_as_large_as_the_deadline_allows() -> None:
    """Eight searches at once could have 150 pairs/s x 9 s / 8 = 170 each, with nothing to spare."""
    found = run(8)

    assert mean(found.scored) >= 75


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_worker(processes: int) -> None:
    found = run(64, processes=processes)

    assert found.scored[0] >= 10
    assert found.p99_s < DEADLINE_S * 0.97
    assert found.busy >= 0.95


def test_slow_legs_leave_the_worker_no_less_to_do() -> None:
    found = run(64, legs_s=(2.0, 5.0))

    assert found.scored[0] >= 10
    assert found.p99_s < DEADLINE_S * 0.97
    assert found.busy >= 0.95


@pytest.mark.parametrize("clients", [8, 32])
def test_a_server_that_says_nothing_is_paced_by_what_it_gets_done(clients: int) -> None:
    found = run(clients, says=False)
    unranked = sum(scored == 0 for scored in found.scored)

    assert unranked <= 0.01 * len(found.scored)
    assert found.p99_s < DEADLINE_S * 0.97
    assert found.busy >= 0.95


def test_what_cannot_be_done_in_time_is_left_undone_and_the_rest_is_reranked() -> None:
    """Some more searches at once than could have ten pairs each."""
    found = run(160, legs_s=(0.5, 1.0))
    reranked = [scored for scored in found.scored if scored]

    assert len(reranked) >= 0.9 * CHARS_PER_S / 800 / 10 * (END_S - WARM_S)
    assert min(reranked[len(reranked) // 10 :]) >= 10
    assert found.busy >= 0.95
