"""How fast a back-fill writes: as the engine can take it beside what it is there for.

What every job hears needs no privilege: how long its own bulk requests took, and which updates were rejected for want
of room (429). Chunks grow by a step while all is well and are halved by a rejection; the pause before a request doubles
with a rejection and shrinks while all is well. Where requests take much longer than such requests mostly took, others
need the engine, and the pause makes up for it. Where the privileges allow it, `watch.py` says more."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FIRST_DOCUMENTS = 100  # of the first chunk
LEAST_DOCUMENTS = 10
MOST_DOCUMENTS = 1_000
STEP_DOCUMENTS = 25
LONG_MS = 1_000.0  # a request that takes longer keeps a write thread for too long
SHRUNK = 0.75  # what is left of a chunk that took so long
FIRST_PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
STEP_PAUSE_S = 0.1
KEPT_PAUSE = 0.75  # of a pause after a request that went well, before the step
SLOW = 2.0  # times what requests of that size mostly took
REMEMBERED = 64  # requests of one size
WORTH_SAYING_S = 1.0
SETTLED = 8  # requests of one size, before which none is called slow
USUAL = 0.25  # the share of those requests that were as fast or faster

REJECTIONS = frozenset({"es_rejected_execution_exception", "rejected_execution_exception"})
SHORT_OF_MEMORY = "circuit_breaking_exception"
BLOCK = "cluster_block_exception"

Rejected = Literal["pressure", "blocked", ""]


def kind_of_rejection(error: Mapping[str, Any] | None) -> Rejected:
    """What an error of a bulk reply or of one of its items says of the engine's load.

    `pressure`: the same update may work later. `blocked`: it will not until somebody lifts the block or frees the disk,
    though the engines answer 429 for a full disk too."""
    kind = (error or {}).get("type")
    if kind == BLOCK:
        return "blocked"
    return "pressure" if kind in REJECTIONS or kind == SHORT_OF_MEMORY else ""


@dataclass(frozen=True, slots=True)
class PaceReport:
    """How often and for how long a job held back: updates that were rejected, slow requests, seconds that it waited,
    and what else it heard, each with how often."""

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
        self._pause_s = 0.0
        self._held = False  # something that was heard of the engine forbids to go faster
        self._free_at = 0.0
        self._clock = clock
        self._sleep = sleep
        self._costs: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._rejected = self._slow = 0
        self._waited_s = 0.0
        self._heard: dict[str, int] = defaultdict(int)

    @property
    def documents(self) -> int:
        """How many documents the next chunk should hold at most."""
        return int(self._documents)

    @property
    def pause_s(self) -> float:
        return self._pause_s

    @property
    def report(self) -> PaceReport:
        return PaceReport(self._rejected, self._slow, self._waited_s, dict(self._heard))

    async def wait(self) -> None:
        """Return when the next request may go."""
        left_s = self._free_at - self._clock()
        if left_s > 0:
            self._waited_s += left_s
            await self._sleep(left_s)

    def saw(self, took_ms: float | None, documents: int, rejected: int = 0) -> None:
        """What became of a request: how long the engine says that it took (None: it was refused whole), how many
        documents it held, and how many of them were rejected by `pressure`."""
        if rejected:
            self._rejected += rejected
            self._ease()
        elif took_ms is not None and documents:
            self._learn(took_ms, documents)
        self._free_at = self._clock() + self._pause_s

    def heard(self, why: str, *, worse: bool) -> None:
        """What else was seen of the engine's load. `worse`: slow down; else go no faster until `relieved`."""
        self._heard[why] += 1
        self._held = True
        if worse:
            self._ease()
            self._free_at = max(self._free_at, self._clock() + self._pause_s)

    def relieved(self) -> None:
        """Nothing that was heard stands against going faster any more."""
        self._held = False

    def _ease(self) -> None:
        self._documents = max(self._least, self._documents / 2)
        self._pause_s = min(MOST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))

    def _learn(self, took_ms: float, documents: int) -> None:
        cost, of_this_size = took_ms / documents, self._costs[documents.bit_length()]
        usual = sorted(of_this_size)[int(USUAL * len(of_this_size))] if len(of_this_size) >= SETTLED else cost
        of_this_size.append(cost)
        slowed = cost / usual if usual else 1
        if slowed > SLOW:
            self._slow += 1
            self._pause_s = min(MOST_PAUSE_S, max(self._pause_s, (slowed - 1) * took_ms / 1000))
        elif not self._held:
            self._pause_s = max(0.0, KEPT_PAUSE * self._pause_s - STEP_PAUSE_S)
        if took_ms > LONG_MS:
            self._documents = max(self._least, SHRUNK * self._documents)
        elif slowed <= SLOW and not self._held and 2 * documents > self._documents:
            self._documents = min(self._most, self._documents + STEP_DOCUMENTS)
