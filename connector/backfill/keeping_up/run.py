"""Following from the settings: every index behind a name that was back-filled, each by a follower of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from connector.backfill.fields import BackfillPlan
from connector.backfill.keeping_up.follower import IndexFollower, PassageLag
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.planning import BackfillWish, ProbedIndex, plan_backfill, probe_indices
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.run import engine_of, watching
from connector.backfill.throttle import WritePace
from connector.backfill.watch import LoadBounds, watch_load
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.settings.sections import Settings
from connector.wiring import load_encoder

NO_BOUNDS = LoadBounds()


@dataclass(frozen=True, slots=True)
class FollowedIndices:
    """What is followed, found fit for it."""

    cluster: RestCluster
    encoder: Encoder
    settings: Settings
    probed: Sequence[ProbedIndex]
    plans: Sequence[BackfillPlan]


def as_before(plan: BackfillPlan, probed: ProbedIndex) -> BackfillPlan:
    """The plan with texts cut as they were, whatever the settings say now."""
    added = probed.before or plan.added
    return replace(plan, added=added, schema=replace(plan.schema, passages=added.passages))


@asynccontextmanager
async def opening_followed(settings: Settings) -> AsyncIterator[FollowedIndices]:
    """The indices behind settings.index.name. Raises ConnectorError where one was not back-filled, or by another
    encoder."""
    async with engine_of(settings) as cluster:
        probed = await probe_indices(cluster, settings.index.name, BackfillWish())
        for each in probed:
            if each.before is None:
                raise SettingsError(
                    f"index {each.facts.index!r} was not back-filled, so there is nothing to keep right; run: "
                    f"connector backfill {each.facts.index}"
                )
        encoder = await in_own_thread(load_encoder, settings)
        encoder.token_offsets(())
        plans = []
        for each in probed:
            plans.append(as_before(await plan_backfill(cluster, each, encoder.fingerprint, settings), each))
        yield FollowedIndices(cluster, encoder, settings, probed, plans)


async def follow(
    followed: FollowedIndices,
    *,
    states: Path = Path(),
    rejects: Path | None = None,
    bounds: LoadBounds = NO_BOUNDS,
    stop: asyncio.Future[str],
    on_progress: Callable[[str, BackfillCounts], None] = lambda index, counts: None,
    on_behind: Callable[[str, PassageLag], None] = lambda index, behind: None,
) -> list[BackfillReport]:
    """Follow all of them side by side until `stop` resolves, to a reason. Where one ends by an error, the others go on.

    `states` is the folder in which INDEX.follow.json is kept for each."""

    async def follow_index(plan: BackfillPlan, probed: ProbedIndex) -> BackfillReport:
        pace = WritePace()
        follower = IndexFollower(
            followed.cluster,
            plan,
            followed.encoder,
            followed.settings.ingest,
            expected=probed.documents,
            rejects=rejects or Path(f"{plan.index}.backfill.rejects.jsonl"),
            state=StateFile(states / f"{plan.index}.follow.json"),
            stop=stop,
            pace=pace,
            every_s=followed.settings.follow.every_s,
            sweep_s=followed.settings.follow.sweep_s,
            on_progress=lambda counts: on_progress(plan.index, counts),
            on_behind=lambda behind: on_behind(plan.index, behind),
        )
        async with watching(watch_load(followed.cluster.client, plan.index, pace, bounds)) as watch:
            report = await follower.run()
        return replace(report, notes=(*report.notes, *watch.notes))

    pairs = zip(followed.plans, followed.probed, strict=True)
    return list(await asyncio.gather(*(follow_index(plan, probed) for plan, probed in pairs)))
