"""Following from the settings: every index behind a name that was back-filled, each by a follower of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from connector.backfill.fields import BackfillPlan
from connector.backfill.keeping_up.follower import IndexFollower, PassageLag
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.migrating import read_encoders
from connector.backfill.planning import ProbedIndex, plan_backfill, probe_index
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.run import engine_of, watching
from connector.backfill.throttle import WritePace
from connector.backfill.watch import LoadBounds, watch_load
from connector.backfilled import Backfilled
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied, EncoderMismatch
from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint
from connector.settings.sections import Settings
from connector.wiring import load_encoder

log = logging.getLogger(__name__)
NO_BOUNDS = LoadBounds()


@dataclass(frozen=True, slots=True)
class FollowedVectors:
    """The vectors of one encoder in one index: an index that changes its encoder has those of two."""

    plan: BackfillPlan
    probed: ProbedIndex
    encoder: Encoder

    @property
    def name(self) -> str:
        """What they are called in messages and files."""
        field = f".{self.plan.added.names.passages}" if self.plan.is_other else ""
        return f"{self.plan.index}{field}"


@dataclass(frozen=True, slots=True)
class FollowedIndices:
    """What is followed, found fit for it."""

    cluster: RestCluster
    settings: Settings
    vectors: Sequence[FollowedVectors]


@asynccontextmanager
async def opening_followed(settings: Settings) -> AsyncIterator[FollowedIndices]:
    """The indices behind settings.index.name. Raises ConnectorError where one was not back-filled, or where an encoder
    that filled it cannot be had."""
    async with engine_of(settings) as cluster:
        found = await read_encoders(cluster, settings.index.name)
        encoders = EncoderShelf(settings)
        vectors = []
        for now in found:
            for added in (now.used, *([now.other] if now.other else [])):
                probed = await probe_index(cluster, now.index, added.names, added.text, added)
                encoder = await encoders.find(now.index, added.encoder)
                plan = as_before(await plan_backfill(cluster, probed, encoder.fingerprint, settings), added)
                vectors.append(FollowedVectors(replace(plan, is_other=added is now.other), probed, encoder))
        yield FollowedIndices(cluster, settings, vectors)


def as_before(plan: BackfillPlan, added: Backfilled) -> BackfillPlan:
    """The plan with texts cut as they were, whatever the settings say now."""
    return replace(plan, added=added, schema=replace(plan.schema, passages=added.passages))


class EncoderShelf:
    """Encoders by what filled an index: that of the settings, or else one of the name that the index remembers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, Encoder] = {}

    async def find(self, index: str, wanted: EncoderFingerprint) -> Encoder:
        """Raises EncoderMismatch where no such encoder is here, and ModelError."""
        for model in (self._settings.encoder.model, wanted.name):
            encoder = await self._load(model)
            if encoder.fingerprint.same_vectors(wanted):
                return encoder
        configured = str(self._loaded[self._settings.encoder.model].fingerprint)
        raise EncoderMismatch(index, index_encoder=str(wanted), configured=configured, backfilled=True)

    async def _load(self, model: str) -> Encoder:
        if model not in self._loaded:
            named = self._settings.encoder.model_copy(update={"model": model})
            encoder = await in_own_thread(load_encoder, self._settings.model_copy(update={"encoder": named}))
            encoder.token_offsets(())  # what cutting by its tokens needs is missed now
            self._loaded[model] = encoder
        return self._loaded[model]


async def follow(
    followed: FollowedIndices,
    *,
    states: Path = Path(),
    rejects: Path | None = None,
    bounds: LoadBounds = NO_BOUNDS,
    stop: asyncio.Future[str],
    on_progress: Callable[[str, BackfillCounts], None] = lambda name, counts: None,
    on_behind: Callable[[str, PassageLag], None] = lambda name, behind: None,
) -> list[BackfillReport]:
    """Follow all of them side by side until `stop` resolves, to a reason. Where one ends by an error, the others go on.

    `states` is the folder in which NAME.follow.json is kept for each."""

    async def follow_vectors(vectors: FollowedVectors) -> BackfillReport:
        pace, settings, name = WritePace(), followed.settings, vectors.name
        follower = IndexFollower(
            followed.cluster,
            vectors.plan,
            vectors.encoder,
            settings.ingest,
            expected=vectors.probed.documents,
            rejects=rejects or Path(f"{name}.follow.rejects.jsonl"),
            state=StateFile(states / f"{name}.follow.json"),
            stop=stop,
            pace=pace,
            every_s=settings.follow.every_s,
            sweep_s=settings.follow.sweep_s,
            on_progress=lambda counts: on_progress(name, counts),
            on_behind=lambda behind: on_behind(name, behind),
        )
        async with watching(watch_load(followed.cluster.client, vectors.plan.index, pace, bounds)) as watch:
            try:
                report = await follower.run()
            except AccessDenied as error:
                if len(followed.vectors) == 1:
                    raise
                counts = BackfillCounts(vectors.probed.documents)
                report = BackfillReport(vectors.plan.index, counts, 0.0, stopped=str(error))
        if report.stopped and not stop.done():  # the others go on, and the report comes when they end
            log.error("%s is not followed any more: %s", name, report.stopped)
            on_behind(name, replace(follower.behind, trouble=report.stopped))
        return replace(report, notes=(*report.notes, *watch.notes))

    return list(await asyncio.gather(*map(follow_vectors, followed.vectors)))
