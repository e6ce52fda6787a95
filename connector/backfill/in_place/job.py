"""The back-fill of one index in place: round after round, until nothing is left.

There is no checkpoint that could be wrong. What needs work is found by a query, so a job that was killed is simply run
again. The first round looks at every document: those without passages are encoded, of the others the text is held
against the marker. A later round looks at what was written since, and passes over what this job itself wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from connector.backfill.fields import BackfillPlan
from connector.backfill.in_place.rounds import BackfillRounds, ShardRange, refresh, run_to_end
from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds, watch_load, watching
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.scan import NONE_YET, Shard, last_seq_no
from connector.clusters.rest import RestCluster
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings

MOST_ROUNDS = 8
IN_FLIGHT = 1_000  # writes may become visible after later ones: so many numbers are looked at twice
UNREFRESHED = (
    "these credentials may not refresh the index, so that writes of the last moments were not seen; a further run, or "
    "connector follow, sees them"
)


class BackfillJob:
    """One run over one index, whose mapping has our fields already; or over some of its `shards`.

    Once `stop` resolves, to the reason, the job reads and encodes no more, writes what is encoded, and ends within
    `ingest.grace_s`; the next run takes up the rest."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: BackfillPlan,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        expected: int,
        rejects: Path,
        shards: Collection[int] | None = None,
        pace: WritePace | None = None,
        stop: asyncio.Future[str] | None = None,
        on_progress: Callable[[BackfillCounts], None] = lambda counts: None,
    ) -> None:
        self._plan = plan
        self._shards = range(plan.shards) if shards is None else shards
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._grace_s = settings.grace_s
        self._rounds = BackfillRounds(
            cluster,
            plan,
            encoder,
            settings,
            expected=expected,
            rejects=rejects,
            pace=pace or WritePace(),
            stop=self._stop,
            on_progress=on_progress,
        )

    async def run(self) -> BackfillReport:
        """Run until nothing is left, or until it is stopped or the cluster stays unavailable.

        What was written by then stays and is not redone. Raises AccessDenied where the credentials may not begin."""
        return await run_to_end(self._rounds, self._take_rounds, grace_s=self._grace_s)

    async def _take_rounds(self) -> None:
        await self._until_nothing_is_left()
        await self._rounds.keep_meta()

    async def _until_nothing_is_left(self) -> None:
        numbers = range(self._plan.shards)
        looked_upto = [NONE_YET for _ in numbers]
        for _ in range(MOST_ROUNDS):
            if not await refresh(self._rounds.cluster, self._plan.index):
                self._rounds.notes[UNREFRESHED] = None
            upto = [await self._last(number) for number in numbers]
            items = await self._rounds.run([ShardRange(NONE_YET, looked_upto[at], upto[at]) for at in numbers])
            looked_upto = [max(NONE_YET, number - IN_FLIGHT) for number in upto]
            if self._stop.done() or not items:
                return
        self._rounds.notes["documents are written all the time; connector follow keeps the passages right"] = None

    async def _last(self, number: int) -> int:
        """The last write of a shard that can be seen; none of a shard that another job looks at."""
        if number not in self._shards:
            return NONE_YET
        return await last_seq_no(self._rounds.cluster, Shard(self._plan.index, number, self._plan.shards))


async def run_watched(
    job: BackfillJob, cluster: RestCluster, plan: BackfillPlan, pace: WritePace, bounds: LoadBounds
) -> BackfillReport:
    """Run a job while the engine's load is watched."""
    async with watching(watch_load(cluster.client, plan.index, pace, bounds)) as watch:
        report = await job.run()
    return replace(report, notes=(*report.notes, *watch.notes, *pace.report.notes))
