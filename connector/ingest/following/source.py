"""What a source is that goes on, and what it gives: steps, which the follower takes one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from connector.ingest.report import JobReport
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Source
from connector.retries import pauses

TRIES = 10**9  # of a source that is away
FIRST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class SourceLag:
    """How far the index is behind: seconds since the oldest change that is not written yet, and how much waits."""

    seconds: float = 0.0
    waiting: int = 0
    unit: str = ""

    def __str__(self) -> str:
        waiting = f" ({self.waiting:,} {self.unit})" if self.waiting else ""
        return f"{self.seconds:,.1f} s behind{waiting}"


@dataclass(frozen=True, slots=True)
class FollowTarget:
    """Where a source is written: the index by its name and its cluster, the column that it takes ids from, and whether
    it holds nothing yet."""

    name: str
    id_column: str
    is_new: bool = True


@dataclass(slots=True)
class SourceStep:
    """Rows to write, and ids to remove.

    `is_whole`: the rows are all that the source has, so that what it no longer has can be told. `present`, if any, are
    all ids that it has now: where the index is to hold this source alone, all others are removed. `seen`, if any, gets
    the ids of the rows. `note` is what there is to say. The follower sets `report` once the step was taken, and asks
    for the next one only where that went well; so what the source has to forget of it is forgotten then."""

    rows: Source | None = None
    removed: Sequence[str] = ()
    present: SeenIds | None = None
    is_whole: bool = False
    seen: SeenIds | None = None
    note: str = ""
    report: JobReport | None = None


class FollowedSource(Protocol):
    """A source that goes on. `source` is all that is in it now."""

    source: Source

    async def will_make(self) -> list[str]:
        """What `begin` makes at the source that is not there yet, in words, for whoever has to agree."""
        ...

    async def begin(self) -> None:
        """From here on no change is missed. Called once, before anything is read."""
        ...

    def steps(self, target: FollowTarget) -> AsyncGenerator[SourceStep, None]:
        """What is to be written into that index, for as long as the source goes on; first all of it, or what changed
        since the last run where that is known. Raises SourceError where it cannot go on."""
        ...

    def lag(self) -> SourceLag:
        """How much is not written yet."""
        ...

    async def close(self) -> None:
        """Let go of what `begin` took."""
        ...


async def whole_steps(source: Source) -> AsyncGenerator[SourceStep, None]:
    """All of the source, again and again until a reading comes to its end."""
    waits = pauses(FIRST_PAUSE_S, TRIES)
    while True:
        step = SourceStep(source, is_whole=True)
        yield step
        if step.report is None or not step.report.source_broke_off:
            return
        await asyncio.sleep(next(waits) or 0.0)
