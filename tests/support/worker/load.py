"""A worker and its callers without either: requests and batches as events on a clock of their own, seconds in a blink.

The worker takes turns as the real one does (connector/worker/batcher.py): every other batch is led by what is due
first, the ones between by what has least left, and filled from the others. Its work is characters."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from connector.rerankers.pace import Pace, ServerLoad
from connector.rerankers.worker import BUDGET_SHARE, LOAD_S

BATCH_CHARS = 13_000

Step = Generator[float | Callable[[Callable[[], None]], None], None, None]


class Clock:
    """Runs what is due next, and says what time it is."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, when: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._count), work))

    def run_until(self, end: float) -> None:
        while self._events and self._events[0][0] <= end:
            self.now, _, work = heapq.heappop(self._events)
            work()

    def start(self, steps: Step) -> None:
        """A task: it yields how long it sleeps, or what is to be told how it wakes up."""

        def go_on() -> None:
            wait = next(steps, None)
            if callable(wait):
                wait(go_on)
            elif wait is not None:
                self.at(self.now + wait, go_on)

        go_on()


@dataclass(eq=False)
class SimulatedRequest:
    """A request at the worker: the characters that are left of each passage, and how it is answered."""

    due: float
    arrived: float
    left: list[int]
    answer: Callable[[], None]
    scored: int = 0

    @property
    def chars(self) -> int:
        return sum(self.left)


class SimulatedWorker:
    """Gets so many characters done in a second; `says` nothing of that where it is another's."""

    def __init__(self, clock: Clock, *, chars_per_s: float, says: bool = True, noise: float = 0.2) -> None:
        self._clock, self._rate, self._says, self._noise = clock, chars_per_s, says, noise
        self._chance = random.Random(3)
        self._asked: list[SimulatedRequest] = []
        self._turn = 0
        self._is_busy = False
        self.done_chars = 0
        self.refused = 0

    @property
    def load(self) -> ServerLoad | None:
        queue_s = sum(asked.chars for asked in self._asked) / self._rate
        return ServerLoad(self._rate, 2_000, queue_s, len(self._asked)) if self._says else None

    def ask(self, sizes: list[int], budget_s: float, answer: Callable[[], None]) -> SimulatedRequest | None:
        """None for a request that is refused."""
        now = self._clock.now
        asked = SimulatedRequest(now + budget_s, now, list(sizes), answer)
        own_s = asked.chars / self._rate
        ahead_s = sum(other.chars for other in self._asked if other.due <= asked.due) / self._rate
        if self._says and ahead_s > 0.9 * budget_s - min(own_s, 0.45 * budget_s):
            self.refused += 1
            return None
        self._asked.append(asked)
        self._clock.at(asked.due, lambda: self._finish(asked))
        self._work()
        return asked

    def _work(self) -> None:
        ready = sorted((asked for asked in self._asked if asked.left), key=lambda asked: (asked.due, asked.arrived))
        if self._is_busy or not ready:
            return
        leader = ready[0] if self._turn % 2 else min(ready, key=lambda asked: (asked.chars, asked.arrived))
        self._turn += 1
        batch: list[SimulatedRequest] = []
        chars = 0
        for asked in (leader, *(other for other in ready if other is not leader)):
            while asked.left and chars < BATCH_CHARS:
                chars += asked.left.pop(0)
                batch.append(asked)
        self._is_busy = True
        took_s = chars / self._rate * self._chance.uniform(1 - self._noise, 1 + self._noise)
        self._clock.at(self._clock.now + took_s, lambda: self._end_batch(batch, chars))

    def _end_batch(self, batch: list[SimulatedRequest], chars: int) -> None:
        self._is_busy = False
        self.done_chars += chars
        for asked in batch:
            asked.scored += 1
        for asked in dict.fromkeys(batch):
            if not asked.left:
                self._finish(asked)
        self._work()

    def _finish(self, asked: SimulatedRequest) -> None:
        if asked in self._asked:
            self._asked.remove(asked)
            asked.left = []
            asked.answer()


@dataclass
class Outcome:
    """What one search came to."""

    wanted: int
    asked: int = 0
    scored: int = 0
    took_s: float = 0.0


@dataclass
class Answered:
    """A request that was taken: how to wait for its answer, what is known of it, and what measures its time."""

    wait: Callable[[Callable[[], None]], None]
    request: SimulatedRequest
    metered: AbstractContextManager[None]


@dataclass
class Process:
    """Searches of one process, by one pace."""

    clock: Clock
    worker: SimulatedWorker
    deadline_s: float = 10.0
    legs_s: tuple[float, float] = (0.05, 0.3)
    pairs: int = 100
    least: int = 10
    seed: int = 1
    pace: Pace = field(init=False)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(lambda: self.clock.now)
        self.pace.hear(self.worker.load)
        self._chance = random.Random(self.seed)

    def keep_asking(self, clients: int, until: float) -> None:
        """Clients that search without pause."""

        def client() -> Step:
            while self.clock.now < until:
                yield from self.search()

        for _ in range(clients):
            self.clock.start(client())

    def search(self) -> Step:
        """Its legs, then the scores of as many passages as there is room for; where that is refused, of the least."""
        began = self.clock.now
        sizes = [self._chance.randint(200, 1_400) for _ in range(self.pairs)]
        outcome = Outcome(len(sizes))
        with self.pace.turn(self.deadline_s * 0.97) as turn:
            yield self._chance.uniform(*self.legs_s)
            if self.worker.load and self.pace.silent_s > LOAD_S:
                self.pace.hear(self.worker.load)
            for offered in (sizes, sizes[: self.least]):
                left_s = began + self.deadline_s * 0.97 - self.clock.now
                outcome.asked = self.pace.fit(turn, offered, least=self.least, timeout_s=left_s)
                answered = self._ask(offered[: outcome.asked], left_s) if outcome.asked else None
                if answered:
                    with answered.metered:
                        yield answered.wait
                    outcome.scored = answered.request.scored
                self.pace.hear(self.worker.load)
                if answered or not outcome.asked:
                    break
        outcome.took_s = self.clock.now - began
        self.outcomes.append(outcome)
        yield 0.01

    def _ask(self, sizes: list[int], left_s: float) -> Answered | None:
        wake: list[Callable[[], None]] = []

        def answer() -> None:
            for go_on in wake:
                go_on()

        request = self.worker.ask(sizes, left_s * BUDGET_SHARE, answer)
        return Answered(wake.append, request, self.pace.metered(sizes)) if request else None
