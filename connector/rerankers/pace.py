"""How much each search may ask a reranker for, so that all that are under way have their scores in time.

A search takes a turn when it starts and asks at its end, so that those that are still in their legs count as well. What
may be asked for is the largest share that every one of them can have, each by its own deadline, after what already
waits at the server. A part is left for those that will start meanwhile, so that what one may have does not hang on how
lately another has asked.

Nothing here asks or waits: the caller says what it heard of the server. Of a server that says nothing the speed is
what it got done lately while it was asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from connector.headers import CHARS_PER_S, MAX_CHARS, QUEUE_MS, WAITING

MARGIN = 0.7  # of the time that is left, in which the server is to be done: its speed changes, and so does its queue
BEHIND = 4  # searches to come for which as much is left as for this one, as far as so many were there lately
MOST_OTHERS = 3  # processes beside this one that are reckoned with
MEMORY_S = 20.0  # of a server at work: what lies so far back counts a third in its measured speed
SETTLED_S = 5.0  # of work, before which nobody is sent away by a measured speed: the first answers say too little
MAX_NUMBER = 1e12  # a header with more is not believed


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a reply says of its server: characters of passages that it gets done in a second, and how many of each count
    at most; for how long what waits will keep it busy, and how many requests that is."""

    chars_per_s: float
    max_chars: int
    queue_s: float
    waiting: int


def read_load(headers: Mapping[str, str]) -> ServerLoad | None:
    """What a reply's headers say of it; None where they say nothing, or nothing that can be right."""
    rate, cap, queue, waiting = (
        _read_number(headers.get(name)) for name in (CHARS_PER_S, MAX_CHARS, QUEUE_MS, WAITING)
    )
    if not rate or not cap or queue is None or waiting is None:
        return None
    return ServerLoad(rate, int(cap), queue / 1000, int(waiting))


class PacedSearch:
    """A search that is under way until it is closed, and what it has asked for; due when nobody waits for its scores
    any more."""

    def __init__(self, others: list[PacedSearch], due: float) -> None:
        self.due = due
        self.asked: float | None = None  # characters; None: nothing yet
        self.asked_at = 0.0
        self._others = others
        others.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """It has its scores, or will ask for none."""
        if self in self._others:
            self._others.remove(self)


class Pace:
    """What one server can take, and the searches of this process that share it. For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: list[PacedSearch] = []
        self._load: ServerLoad | None = None
        self._heard_at = -math.inf
        self._meter = _Meter()

    @property
    def silent_s(self) -> float:
        """For how long nothing was heard of the server."""
        return self._clock() - self._heard_at

    def hear(self, load: ServerLoad | None) -> None:
        """The server answered; where it says no load, its speed is what is measured here."""
        self._load, self._heard_at = load, self._clock()

    def turn(self, timeout_s: float) -> PacedSearch:
        """For a search that will ask for scores within the time; to be closed when it has them."""
        return PacedSearch(self._turns, self._clock() + timeout_s)

    @contextmanager
    def metered(self, chars: Sequence[int]) -> Iterator[None]:
        """Around a request for passages of so many characters, which the server has scored unless this raises."""
        self._meter.begin(self._clock())
        done = 0
        try:
            yield
            done = sum(chars)
        finally:
            self._meter.end(self._clock(), done)

    def fit(self, turn: PacedSearch, chars: Sequence[int], *, least: int, timeout_s: float) -> int:
        """How many of the passages with so many characters, the first ones, this turn may ask for now.

        At least the `least`, which a server that says its load refuses itself where they come too late; of another 0
        where not even those would come in time."""
        now = self._clock()
        turn.due, turn.asked = now + timeout_s, None
        least = min(least, len(chars))
        sizes = [min(size, self._load.max_chars) for size in chars] if self._load else list(chars)
        rate = self._load.chars_per_s if self._load else self._meter.rate
        if rate is None:
            count = least if any(other.asked is not None for other in self._turns) else len(sizes)
        else:
            queue = self._queue(rate, now)
            count = max(_count_within(sizes, self._share(turn, rate, queue, now)), least)
            is_sure = self._load is None and self._meter.is_settled
            if is_sure and sum(sizes[:count]) > rate * MARGIN * timeout_s - queue:
                return 0
        turn.asked, turn.asked_at = float(sum(sizes[:count])), now
        return count

    def _share(self, turn: PacedSearch, rate: float, queue: float, now: float) -> float:
        """The characters that this turn, those still to ask, and those to come can have each, none after its time."""
        to_ask = sorted((other for other in self._turns if other.asked is None and other.due > now), key=_by_due)
        asked = sum(other.asked is not None for other in self._turns)
        waiting = max(asked, self._load.waiting if self._load else 0)
        # other processes have as many yet to ask, by those that wait, as this one has
        others = 1 + min((waiting - asked) / max(asked, 1), MOST_OTHERS)
        to_come = min(len(to_ask) + waiting - 1, BEHIND)
        return min(
            (
                (rate * MARGIN * (other.due - now) - queue) / (place * others + to_come)
                for place, other in enumerate(to_ask, start=1)
                if other.due >= turn.due
            ),
            default=0.0,
        )

    def _queue(self, rate: float, now: float) -> float:
        """The characters that wait at the server: what it said, less what it has got done since, with what was asked of
        it since then; at least all that was asked here and has no answer."""
        asked = [other for other in self._turns if other.asked is not None]
        unanswered = sum(other.asked or 0.0 for other in asked)
        if not self._load:
            return unanswered
        since = sum(other.asked or 0.0 for other in asked if other.asked_at >= self._heard_at)
        reported = max(self._load.queue_s - (now - self._heard_at), 0.0) * rate
        return max(reported + since, unanswered)


class _Meter:
    """How fast a server is that does not say so: what it got done, by the time in which it had something to do."""

    def __init__(self) -> None:
        self._open = 0
        self._since = 0.0
        self._done = 0.0
        self._busy_s = 0.0

    @property
    def rate(self) -> float | None:
        """Characters per second; None before anything is known."""
        return self._done / self._busy_s if self._done and self._busy_s else None

    @property
    def is_settled(self) -> bool:
        """Whether it was at work for long enough to be judged."""
        return self._busy_s >= SETTLED_S

    def begin(self, now: float) -> None:
        self._count(now)
        self._open += 1

    def end(self, now: float, done: float) -> None:
        self._count(now)
        self._open -= 1
        self._done += done

    def _count(self, now: float) -> None:
        if self._open:
            took_s = now - self._since
            kept = math.exp(-took_s / MEMORY_S)
            self._done, self._busy_s = self._done * kept, self._busy_s * kept + took_s
        self._since = now


def _by_due(turn: PacedSearch) -> float:
    return turn.due


def _count_within(sizes: Sequence[int], room: float) -> int:
    """How many of the first sizes are no more than the room together."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > room:
            return count
    return len(sizes)


def _read_number(header: str | None) -> float | None:
    try:
        number = float(header or "")
    except ValueError:
        return None
    return number if 0 <= number <= MAX_NUMBER else None
