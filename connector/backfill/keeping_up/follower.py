"""An index that was back-filled, followed: what applications write is looked at within seconds.

An update of theirs that changes a text leaves our passages of the old one, and a document that they replace has none.
So each round reads what was written since the last one, and holds texts against markers. What our own update met was
written once more in between gets a number above the checkpoint: the next round finds it, and nobody is fought over a
document. What is done of a long round is kept while it goes on, so that one that is killed again and again gets on.
Deletions need nothing, since passages lie in their document."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from connector.backfill.fields import BackfillPlan
from connector.backfill.in_place.meta_guard import VectorsTakenOut
from connector.backfill.in_place.rounds import BackfillRounds, ShardRange, refresh, run_to_end
from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, read_checkpoints
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.passing import may_pass
from connector.backfill.keeping_up.state import FollowState, StateFile, begin_anew, moved_to, moved_within
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.scan import NONE_YET
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied, ConnectorError, SettingsError
from connector.models.encoder import Encoder
from connector.retries import pauses
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)
MOST_REFUSED = 10_000  # writes of one shard, the last ones, that are remembered for the next run
MANY_REFUSED = "more documents were refused than are remembered for the next run; connector backfill tries them all"
MOST_IDS = 5_000_000  # on disk, of the documents that were met
KEEP_S = 1.0  # so often what is done of a round is kept


class IndexFollower:
    """Follows one index, whose mapping has our fields. Once `stop` resolves, to the reason, it ends as BackfillJob
    does.

    Without `fills_old`, the documents that lack passages when it begins with nothing known are left to a back-fill that
    is at work, and to a later sweep."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: BackfillPlan,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        expected: int,
        rejects: Path,
        state: StateFile,
        stop: asyncio.Future[str],
        pace: WritePace | None = None,
        every_s: float,
        sweep_s: float,
        fills_old: bool = True,
        on_progress: Callable[[BackfillCounts], None] = lambda counts: None,
        on_behind: Callable[[PassageLag], None] = lambda behind: None,
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._settings = settings
        self._file = state
        self._stop = stop
        self._every_s = every_s
        self._sweep_s = sweep_s
        self._fills_old = fills_old
        self._on_progress = on_progress
        self._on_behind = on_behind
        self._rounds = BackfillRounds(
            cluster,
            plan,
            encoder,
            settings,
            expected=expected,
            rejects=rejects,
            pace=pace or WritePace(),
            stop=stop,
            on_progress=self._tell_progress,
        )
        self._right_at = time.monotonic()  # a moment up to which everything written is right
        self._lacking_after: list[int] | None = None  # by shard, where another job fills what is older
        self._refused: list[tuple[int, ...]] = [()] * plan.shards  # in the last run: they are looked at once more
        self._state: FollowState | None = None  # as it was kept last; none at the beginning
        self._kept_at = -math.inf
        self.behind = PassageLag()
        self._operations = 0  # that nobody has looked at, when last asked

    async def run(self) -> BackfillReport:
        """Until `stop`, an error that does not pass, or until the vectors are taken out (then the report says of
        nothing that stopped it). Raises AccessDenied where the credentials may not begin."""
        return await run_to_end(self._rounds, self._keep_up, grace_s=self._settings.grace_s)

    async def _keep_up(self) -> None:
        waits = self._waits()
        while not self._stop.done():
            wait_s: float | None = self._every_s
            try:
                await self._look()
                waits = self._waits()
            except VectorsTakenOut as over:
                self._file.forget()
                self._rounds.notes[f"{over}; they are followed no more"] = None
                return
            except ConnectorError as error:
                wait_s = next(waits)
                await self._outlast(error, wait_s)
            await asyncio.wait([self._stop], timeout=wait_s)

    async def _outlast(self, error: ConnectorError, wait_s: float | None) -> None:
        """Say what keeps it from looking. Raises what does not pass."""
        first = await self._rounds.same.explain(error)
        if not may_pass(first):
            raise first
        log.warning("%s: %s; trying again in %.1f s", self._plan.index, first, wait_s)
        self._tell(trouble=str(first))

    def _waits(self) -> Iterator[float | None]:
        return pauses(self._settings.backoff_s, sys.maxsize)

    async def _read(self) -> IndexCheckpoints:
        try:
            return await read_checkpoints(self._cluster, self._plan.index, self._plan.shards)
        except AccessDenied as error:
            raise AccessDenied(
                f"following index {self._plan.index!r} needs the privilege to read its statistics (monitor on "
                f"Elasticsearch, indices_monitor on OpenSearch): {error}; without it, run connector backfill now and "
                "then",
                status=error.status,
            ) from error

    def _begin(self, now: IndexCheckpoints) -> FollowState:
        """The state that was kept, where it holds."""
        generation = self._plan.added.generation
        if len(now.shards) != self._plan.shards:
            raise SettingsError(f"index {self._plan.index!r} was made anew just now; start connector follow again")
        kept = self._file.read()
        why = kept.why_void(generation, now) if kept else None
        if why:
            log.warning("%s: every document is looked at anew", why)
            self._rounds.notes[f"{why}: every document was looked at anew"] = None
        if kept and not why:
            self._refused, self._lacking_after = [*kept.refused], [*kept.lacking_after] or None
            return kept
        state = begin_anew(self._plan.index, generation, now)
        if kept or self._fills_old:
            return state
        self._lacking_after = self._lacking_after or [shard.safe for shard in now.shards]  # a first look may fail
        return replace(state, swept_at=time.time(), lacking_after=tuple(self._lacking_after))

    async def _look(self) -> None:
        """What was written since, if anything was."""
        asked_at, now = time.monotonic(), await self._read()
        state = self._state = self._still_valid(self._state, now) if self._state else self._begin(now)
        await self._rounds.keep_meta()
        safe = [shard.safe for shard in now.shards]
        self._operations = _count_operations(now, state)
        self._tell()
        is_sweep = state.is_sweep_due(time.time(), self._sweep_s)
        if is_sweep or any(self._refused) or list(state.upto) != safe:
            state = await self._take_round(state, safe, is_sweep=is_sweep)
            if self._stop.done():
                return
        self._right_at = asked_at
        self._operations = _count_operations(now, state)
        self._tell()

    async def _take_round(self, state: FollowState, safe: Sequence[int], *, is_sweep: bool) -> FollowState:
        swept_at = time.time() if is_sweep else state.swept_at
        if not await refresh(self._cluster, self._plan.index):
            raise AccessDenied(
                f"following index {self._plan.index!r} needs the privilege to refresh it (maintenance on "
                "Elasticsearch, indices:admin/refresh* on OpenSearch); without it, run connector backfill now and then"
            )
        lacking_after = self._lacking_after or [NONE_YET] * len(safe)
        bounds = zip(state.upto, safe, lacking_after, self._refused, strict=True)
        await self._rounds.run(
            [ShardRange(NONE_YET if is_sweep else max(at, lacking), at, upto, too) for at, upto, lacking, too in bounds]
        )
        if self._stop.done():
            self._keep_what_is_done()
            return state
        self._refused = [()] * self._plan.shards
        for own, upto in zip(self._rounds.own, safe, strict=True):
            own.forget(upto)
        refused = self._rounds.ledger.refused(self._plan.shards)
        self._rounds.ledger.keep_within(MOST_IDS)
        return self._keep(moved_to(state, safe, refused, swept_at))

    def _keep_what_is_done(self) -> None:
        """Keep up to where the round that is under way is done."""
        done = self._rounds.done.numbers
        if self._state and any(number > upto for number, upto in zip(done, self._state.upto, strict=True)):
            self._keep(moved_within(self._state, done, self._rounds.ledger.refused(self._plan.shards)))

    def _keep(self, state: FollowState) -> FollowState:
        if any(len(numbers) > MOST_REFUSED for numbers in state.refused):
            self._rounds.notes[MANY_REFUSED] = None
            state = replace(state, refused=tuple(numbers[-MOST_REFUSED:] for numbers in state.refused))
        self._file.keep(state)
        self._state, self._kept_at = state, time.monotonic()
        return state

    def _still_valid(self, state: FollowState, now: IndexCheckpoints) -> FollowState:
        """The state, or one from the beginning. Raises SettingsError for another index under the name."""
        why = state.why_void(self._plan.added.generation, now)
        if not why:
            return state
        if state.uuid != now.uuid or len(now.shards) != self._plan.shards:
            raise SettingsError(f"{why} while it was followed; fill it: connector backfill {self._plan.index}")
        log.warning("%s: every document is looked at anew", why)
        self._rounds.notes[f"{why}: every document was looked at anew"] = None
        for own in self._rounds.own:
            own.clear()  # in another history, the same numbers are writes of others
        return begin_anew(self._plan.index, self._plan.added.generation, now)

    def _tell_progress(self, counts: BackfillCounts) -> None:
        """A round may take hours: how long it is behind is told on the way, and what is done is kept."""
        self._on_progress(counts)
        if time.monotonic() - self._kept_at >= KEEP_S:
            self._keep_what_is_done()
        self._tell()

    def _tell(self, trouble: str = "") -> None:
        seconds = time.monotonic() - self._right_at if self._operations or trouble else 0.0
        self.behind = PassageLag(self._operations, seconds, trouble)
        self._on_behind(self.behind)


def _count_operations(now: IndexCheckpoints, state: FollowState) -> int:
    """How many operations nobody has looked at."""
    return sum(max(shard.newest - upto, 0) for shard, upto in zip(now.shards, state.upto, strict=True))
