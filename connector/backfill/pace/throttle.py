"""How fast a back-fill writes: as the engine can take it beside what it is there for.

What every job hears needs no privilege: how long its own bulk requests took, and which updates were rejected for want
of room (429). Chunks grow by a step while all is well and are halved by a rejection; the pause before a request doubles
with a rejection, up to a few seconds, and is halved while all is well. So little is asked of an engine that is full,
and it is noticed soon when it no longer is: chunks double then, up to half of what they were before.

A full queue counts requests, so that chunks below some size would only ask more often; where memory is short, bytes
count, and chunks may become as small as they can. Where requests take much longer than such requests mostly took,
others need the engine, and a pause makes up for it: much of that time the request waits in a queue, so it is not cut
smaller for that. Where the privileges allow it, `watch.py` says more."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from connector.clusters.writing.no_room import NoRoom

FIRST_DOCUMENTS = 100  # of the first chunk
LEAST_DOCUMENTS = 10
FEWEST_OF_A_REQUEST = 100  # documents of a chunk, below which fewer would only make more requests for a queue
FEWEST_IN_TIME = 50  # of a chunk that takes long: a request may have waited most of it
MOST_DOCUMENTS = 1_000
STEP_DOCUMENTS = 25
LONG_MS = 1_000.0  # a request that takes longer keeps a write thread for too long
SHRUNK = 0.75  # what is left of a chunk that took so long
FIRST_PAUSE_S = 0.5
MOST_PAUSE_S = 5.0  # a request every few seconds harms nobody, and tells when there is room again
MOST_SLOW_PAUSE_S = 10.0  # after one request, until the next that is as fast as usual
STEP_PAUSE_S = 0.1
KEPT_PAUSE = 0.5  # of a pause after a request that went well, before the step
SLOW = 2.0  # times what requests of that size mostly took
REMEMBERED = 64  # requests of one size
WORTH_SAYING_S = 1.0
SETTLED = 8  # requests of one size, before which none is called slow
USUAL = 0.25  # the share of those requests that were as fast or faster


@dataclass(frozen=True, slots=True)
class PaceReport:
    """How often and for how long a job held back: updates that were rejected, slow requests, seconds in which it waited
    before a request, and what else it heard, each with how often."""

    rejected: int
    slow: int
    waited_s: float
    heard: Mapping[str, int]

    @property
    def notes(self) -> list[str]:
        """What there is to say of it, where it made a difference."""
        why = [f"{name} ({times:,} times)" for name, times in self.heard.items()]
        why += [f"updates that were rejected for want of room ({self.rejected:,})"] if self.rejected else []
        why += [f"requests that took much longer than such requests mostly do ({self.slow:,})"] if self.slow else []
        if not why or self.waited_s < WORTH_SAYING_S:
            return []
        return [f"{self.waited_s:.0f} s were waited to leave the engine to others: {', '.join(why)}"]


class WritePace:
    """When the next bulk request may go, and how many documents it should hold."""

    def __init__(
        self,
        most_documents: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`most_documents` of a chunk; 0: as many as are ever sent."""
        self._most = most_documents or MOST_DOCUMENTS
        self._least = min(LEAST_DOCUMENTS, self._most)
        self._documents = float(min(FIRST_DOCUMENTS, self._most))
        self._soon = 0.0  # documents that a chunk had room for before rejections: up to half of them it doubles
        self._pause_s = 0.0  # which rejections made
        self._slow_pause_s = 0.0  # which the last request made, by what it took
        self._rejecting = False
        self._held = False  # something that was heard of the engine forbids to go faster
        self._free_at = 0.0
        self._clock = clock
        self._sleep = sleep
        self._costs: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._rejected = self._slow = 0
        self._waiting, self._waits_since, self._waited_s = 0, 0.0, 0.0
        self._heard: dict[str, int] = defaultdict(int)

    @property
    def documents(self) -> int:
        """How many documents the next chunk should hold at most."""
        return int(self._documents)

    @property
    def pause_s(self) -> float:
        """How long to wait before the next request."""
        return max(self._pause_s, self._slow_pause_s)

    @property
    def report(self) -> PaceReport:
        return PaceReport(self._rejected, self._slow, self._waited_s, dict(self._heard))

    async def wait(self) -> None:
        """Return when the next request may go. While there is a pause, requests that wait go one after the other."""
        with self._counted():
            while (left_s := self._free_at - self._clock()) > 0:
                await self._sleep(left_s)
        self._free_at = self._clock() + self.pause_s

    def saw(self, took_ms: float | None, documents: int, rejected: int = 0, no_room: NoRoom = "queue") -> None:
        """What became of a request: how long the engine says that it took (None: it was refused whole), how many
        documents it held, how many of them were rejected, and what there was no room in."""
        if rejected:
            self._rejected += rejected
            self._ease(FEWEST_OF_A_REQUEST if no_room == "queue" else self._least, mostly=2 * rejected >= documents)
        elif took_ms is not None and documents:
            self._learn(took_ms, documents)
        self._free_at = self._clock() + self.pause_s

    def heard(self, why: str, *, worse: bool) -> None:
        """What else was seen of the engine's load. `worse`: slow down; else go no faster until `relieved`."""
        self._heard[why] += 1
        self._held = True
        if worse:
            self._ease(self._least, mostly=True)
            self._free_at = max(self._free_at, self._clock() + self.pause_s)

    def relieved(self) -> None:
        """Nothing that was heard stands against going faster any more."""
        self._held = False

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """The time in which anything waits, once for all that do."""
        if not self._waiting:
            self._waits_since = self._clock()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._waited_s += self._clock() - self._waits_since

    def _ease(self, least: int, *, mostly: bool) -> None:
        """Ask for less; the pause grows where it is `mostly` rejections that come back."""
        if not self._rejecting:
            self._rejecting, self._soon = True, self._documents / 2
        self._documents = min(self._documents, max(least, self._documents / 2))
        self._pause_s = min(MOST_PAUSE_S, max(FIRST_PAUSE_S, (2 if mostly else 1) * self._pause_s))

    def _learn(self, took_ms: float, documents: int) -> None:
        cost, of_this_size = took_ms / documents, self._costs[documents.bit_length()]
        usual = sorted(of_this_size)[int(USUAL * len(of_this_size))] if len(of_this_size) >= SETTLED else cost
        of_this_size.append(cost)
        slowed = cost / usual if usual else 1
        self._slow += slowed > SLOW
        self._slow_pause_s = min(MOST_SLOW_PAUSE_S, (slowed - 1) * took_ms / 1000) if slowed > SLOW else 0.0
        if not self._held:
            self._pause_s = max(0.0, KEPT_PAUSE * self._pause_s - STEP_PAUSE_S)
        if slowed > SLOW:
            return
        if took_ms > LONG_MS:
            self._documents = min(self._documents, max(FEWEST_IN_TIME, SHRUNK * self._documents))
        elif not self._held and 2 * documents > self._documents:
            self._grow()

    def _grow(self) -> None:
        self._rejecting = False
        step = max(STEP_DOCUMENTS, min(self._documents, self._soon - self._documents))
        self._documents = min(self._most, self._documents + step)
