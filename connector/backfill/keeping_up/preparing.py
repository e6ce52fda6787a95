"""From vectors that were found to a follower of them: their encoder, their plan, their files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from connector.backfill.beside.filling import BesideCounts, BesideJob
from connector.backfill.fields import BackfillPlan
from connector.backfill.keeping_up.beside_follow import BesideFollower
from connector.backfill.keeping_up.finding import BesideVectors, InPlaceVectors, VectorsToFollow
from connector.backfill.keeping_up.follower import IndexFollower
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.state import StateFile, name_files
from connector.backfill.pace.throttle import WritePace
from connector.backfill.planning.plan import plan_backfill, probe_index
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfilled import Backfilled
from connector.clusters.beside.index import BesideIndex
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.errors import EncoderMismatch, SettingsError
from connector.event_loop import in_own_thread
from connector.ingest.rejects import RejectsFile
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint
from connector.settings.sections import Settings
from connector.wiring import load_encoder


class EncoderCache:
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


@dataclass(frozen=True, slots=True)
class Ready:
    """Vectors with all that following them needs: the plan of those in place, or the index with those beside it. `uuid`
    is that of the index, where the credentials may see it."""

    found: VectorsToFollow
    encoder: Encoder
    documents: int
    target: BackfillPlan | BesideIndex
    uuid: str = ""


async def prepare(cluster: RestCluster, settings: Settings, found: VectorsToFollow, encoders: EncoderCache) -> Ready:
    """Raises ConnectorError where they cannot be followed."""
    uuid = await cluster.read_uuid(found.index)
    match found:
        case InPlaceVectors(index, added, is_other):
            probed = await probe_index(cluster, index, added.names, added.text, added)
            encoder = await encoders.find(index, added.encoder)
            plan = as_before(await plan_backfill(cluster, probed, encoder.fingerprint, settings), added)
            return Ready(found, encoder, probed.documents, replace(plan, is_other=is_other), uuid)
        case BesideVectors(index, beside, schema):
            if schema.encoder is None:
                raise SettingsError(f"index {beside!r} says of no encoder; fill it again: connector backfill --beside")
            encoder = await encoders.find(index, schema.encoder)
            opened = await cluster.open_index(index, ForeignFields(schema.fields.text, beside=beside))
            assert isinstance(opened, BesideIndex)
            return Ready(found, encoder, await cluster.count(index), opened, uuid)


def as_before(plan: BackfillPlan, added: Backfilled) -> BackfillPlan:
    """The plan with texts cut as they were, whatever the settings say now."""
    return replace(plan, added=added, schema=replace(plan.schema, passages=added.passages))


@dataclass(frozen=True, slots=True)
class FollowerFiles:
    """The files of each follower, in the folder of `states`. The file of `rejects`, if one is named, is that of
    all."""

    states: Path
    rejects: Path | None
    _begun: set[Path] = field(default_factory=set)
    _held: ExitStack = field(default_factory=ExitStack)

    def of(self, ready: Ready) -> tuple[Path, StateFile]:
        """Where refused documents and the state are kept. Raises DiskError where the former cannot be."""
        stem = name_files(ready.found.name, ready.uuid)
        rejects = self.rejects or Path(f"{stem}.follow.rejects.jsonl")
        RejectsFile(rejects).check()
        return rejects, StateFile(self.states / f"{stem}.follow.json")

    def begin(self, rejects: Path) -> None:
        """The file is that of these followers alone until `close`, and nothing is left of what was in it before them.
        Raises SettingsError where another job has it, and DiskError."""
        if rejects in self._begun:
            return
        self._held.enter_context(RejectsFile(rejects).held())
        self._begun.add(rejects)
        RejectsFile(rejects).clear()

    def close(self) -> None:
        self._held.close()


class VectorsFollower:
    """Follows vectors, wherever they are."""

    def __init__(
        self,
        cluster: RestCluster,
        settings: Settings,
        ready: Ready,
        *,
        stop: asyncio.Future[str],
        pace: WritePace,
        rejects: Path,
        state: StateFile,
        fills_old: bool,
        on_progress: Callable[[BackfillCounts], None],
        on_behind: Callable[[PassageLag], None],
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._ready = ready
        self._stop = stop
        self._pace = pace
        self._rejects = rejects
        self._state = state
        self._fills_old = fills_old
        self._on_progress = on_progress
        self._on_behind = on_behind

    async def run(self) -> BackfillReport:
        """Until `stop`, or an error that does not pass. Raises AccessDenied."""
        target = self._ready.target
        if isinstance(target, BesideIndex):
            return await self._follow_beside(target)
        follower = IndexFollower(
            self._cluster,
            target,
            self._ready.encoder,
            self._settings.ingest,
            expected=self._ready.documents,
            rejects=self._rejects,
            state=self._state,
            stop=self._stop,
            pace=self._pace,
            every_s=self._settings.follow.every_s,
            sweep_s=self._settings.follow.sweep_s,
            fills_old=self._fills_old,
            on_progress=self._on_progress,
            on_behind=self._on_behind,
        )
        return await follower.run()

    async def _follow_beside(self, index: BesideIndex) -> BackfillReport:
        settings = self._settings
        follower = BesideFollower(
            self._cluster,
            index,
            settings.follow,
            settings.ingest,
            state=self._state,
            stop=self._stop,
            on_behind=self._on_behind,
        )

        def see(counts: BesideCounts) -> None:
            self._on_progress(count_as_backfill(counts, self._ready.documents))
            follower.see(counts)

        job = BesideJob(
            self._cluster,
            index,
            self._ready.encoder,
            settings.ingest,
            pace=self._pace,
            stop=self._stop,
            on_progress=see,
        )
        report = await follower.run(job)
        counts = count_as_backfill(report.counts, self._ready.documents)
        return BackfillReport(
            self._ready.found.index, counts, report.took_s, stopped=report.stopped, reasons=report.reasons
        )


def count_as_backfill(counts: BesideCounts, expected: int) -> BackfillCounts:
    """The same in the words of a back-fill in place: what is beside has no further names."""
    return BackfillCounts(
        expected=expected,
        found=counts.done,
        written=counts.written - counts.without_text,
        unchanged=counts.unchanged + counts.touched,
        without_text=counts.without_text,
        gone=counts.vanished + counts.removed,
        refused=counts.failed,
        passages=counts.passages,
    )
