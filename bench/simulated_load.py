"""The searches of bench-load without a machine: a worker of a given speed, by the clock of a simulation."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.worker.load import Clock, Process, SimulatedWorker

from connector.evaluation.statistics.latency import percentile

CHARS_A_PAIR = 800  # on average, as the simulation draws them
DEADLINE_S = 10.0
WARM_S, END_S, REST_S = 15.0, 60.0, 20.0
SHARES = (50, 95, 99)


def simulate(pairs_per_s: float, at_once: Iterable[int], applications: int) -> dict[str, Any]:
    """What bench-load reports, of searches for 50 documents of two passages each: nDCG is not known here."""
    levels = [_simulate(pairs_per_s * CHARS_A_PAIR, count, min(applications, count)) for count in at_once]
    facts = {"window": 100, "k": 10, "deadline_s": DEADLINE_S, "applications": applications}
    return {"simulated_pairs_per_s": pairs_per_s} | facts | {"levels": levels}


def _simulate(chars_per_s: float, at_once: int, applications: int) -> dict[str, Any]:
    clock = Clock()
    worker = SimulatedWorker(clock, chars_per_s=chars_per_s)
    processes = [Process(clock, worker, deadline_s=DEADLINE_S, seed=number) for number in range(applications)]
    for number, process in enumerate(processes):
        process.keep_asking(len(range(number, at_once, applications)), END_S)
    clock.run_until(WARM_S)
    before = worker.done_chars
    clock.run_until(END_S)
    of_best = (worker.done_chars - before) / chars_per_s / (END_S - WARM_S)
    clock.run_until(END_S + REST_S)
    outcomes = [outcome for process in processes for outcome in process.outcomes]
    took_s = [outcome.took_s for outcome in outcomes]
    return {
        "at_once": at_once,
        "searches": len(outcomes),
        "reranked_share": round(mean(outcome.scored > 0 for outcome in outcomes), 4),
        "window": round(mean(outcome.scored for outcome in outcomes), 1),
        "nDCG@10": None,
        **{f"p{share}_s": round(percentile(took_s, share / 100), 2) for share in SHARES},
        "of_best": round(of_best, 3),
    }
