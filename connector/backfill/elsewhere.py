"""A back-fill from its settings where the index itself is not written to: beside it, or into a new index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from connector.backfill.beside.filling import BesideCounts, BesideJob, BesideReport
from connector.backfill.beside.plan import BesidePlan, open_beside, plan_beside, text_fields_of
from connector.backfill.engine import engine_of
from connector.backfill.into.copying import IntoCounts, IntoJob, IntoReport
from connector.backfill.into.plan import IntoPlan, create_new, plan_into
from connector.backfill.into.switch import SwitchReport, check_switch, switch
from connector.backfill.keeping_up.beside_follow import BesideFollower
from connector.backfill.keeping_up.state import StateFile, name_files
from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds, watch_load, watching
from connector.backfill.planning.plan import BackfillWish
from connector.backfill.run import NO_BOUNDS
from connector.backfilled import AddedNames
from connector.clusters.beside.index import BesideIndex
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.settings.sections import Settings
from connector.wiring import load_encoder

Show = Callable[[BesideCounts | IntoCounts], None]


@dataclass(frozen=True, slots=True)
class ElsewhereWish:
    """Where to: beside the index (`into` None), or into a new one of that name, which takes its place at the end
    (`swap`; None: where the index is known by an alias). `copied` are the fields that are copied beside (None: all that
    can be)."""

    into: str | None = None
    swap: bool | None = None
    block_writes: bool = False
    copied: Sequence[str] | None = None
    goes_on: bool = False  # beside: until it is stopped
    states: Path = Path()  # the folder of what the next such run goes on from
    bounds: LoadBounds = NO_BOUNDS


@dataclass(frozen=True, slots=True)
class ElsewhereReport:
    """What was done for `index`, whose passages are in `other` now. `switched` says how that took its place, where it
    did."""

    way: Literal["beside", "into"]
    index: str
    other: str
    filled: BesideReport | IntoReport
    switched: SwitchReport | None = None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every document has come over."""
        failed = self.filled.counts.failed + (self.switched.failed if self.switched else 0)
        return not (self.filled.stopped or failed)


class PreparedElsewhere(Protocol):
    """What is to be done, before anything is written."""

    @property
    def changes(self) -> list[str]:
        """What is about to be made and changed, for whoever decides."""
        ...

    async def run(self, stop: asyncio.Future[str], on_progress: Show) -> ElsewhereReport:
        """Do it. Resolve `stop` with a reason to end early."""
        ...


@asynccontextmanager
async def preparing_elsewhere(
    settings: Settings, wish: BackfillWish, where: ElsewhereWish
) -> AsyncIterator[PreparedElsewhere]:
    """The back-fill of the one index behind settings.index.name. Raises ConnectorError where that cannot be."""
    async with engine_of(settings) as cluster:
        text = dict(wish.text or {}) or await text_fields_of(cluster, settings)
        encoder = await in_own_thread(load_encoder, settings)
        encoder.token_offsets(())  # passages are cut by its tokens: what that needs is missed before anything is made
        if where.into is None:
            plan = await plan_beside(
                cluster, settings.index.name, settings, encoder.fingerprint, text=text, copied=where.copied
            )
            documents = await cluster.count(plan.index)
            yield _PreparedBeside(cluster, encoder, settings, plan, documents, where)
            return
        names = AddedNames(wish.field) if wish.field else AddedNames()
        into = await plan_into(
            cluster, settings.index.name, where.into, settings, encoder.fingerprint, text=text, names=names
        )
        swaps = not into.takes_name if where.swap is None else where.swap
        if swaps:
            check_switch(into, block_writes=where.block_writes)
        elif where.block_writes:
            raise SettingsError("--block-writes is for the moment in which the new index takes the place; add --swap")
        where = replace(where, swap=swaps)
        yield _PreparedInto(cluster, encoder, settings, into, where, await cluster.count(into.old))


@dataclass(frozen=True, slots=True)
class _PreparedBeside:
    cluster: RestCluster
    encoder: Encoder
    settings: Settings
    plan: BesidePlan
    documents: int
    where: ElsewhereWish

    @property
    def changes(self) -> list[str]:
        plan = self.plan
        texts = ", ".join(f"{name}^{boost:g}" for name, boost in plan.schema.fields.text.items())
        done = "is brought up to date" if plan.exists else "is made, hidden from patterns"
        copied = ", ".join(plan.origin.copies) or "none"
        return [
            f"index {plan.index} ({self.documents:,} documents) is only read",
            f"- the index {plan.name} {done}: passages of its texts ({texts}), their vectors of {plan.schema.dims} "
            f"dimensions by {self.encoder.fingerprint.name}, and the values of the fields that are copied",
            f"- copied, so that a search with a filter by them finds all it should: {copied}",
        ]

    async def run(self, stop: asyncio.Future[str], on_progress: Show) -> ElsewhereReport:
        index, pace, settings = await open_beside(self.cluster, self.plan), WritePace(), self.settings
        job = BesideJob(
            self.cluster, index, self.encoder, settings.ingest, pace=pace, stop=stop, on_progress=on_progress
        )
        load = watch_load(self.cluster.client, self.plan.index, pace, self.where.bounds)
        async with watching(load) as watch:
            if self.where.goes_on:
                filled = await self._follow(index, job, stop)
            else:
                filled = await job.run()
        return ElsewhereReport("beside", self.plan.index, self.plan.name, filled, notes=tuple(watch.notes))

    async def _follow(self, index: BesideIndex, job: BesideJob, stop: asyncio.Future[str]) -> BesideReport:
        """Raises SettingsError where somebody follows it already."""
        stem = name_files(self.plan.index, await self.cluster.read_uuid(self.plan.index))
        state = StateFile(self.where.states / f"{stem}.follow.json")
        with state.held():
            return await BesideFollower(
                self.cluster, index, self.settings.follow, self.settings.ingest, state=state, stop=stop
            ).run(job)


@dataclass(frozen=True, slots=True)
class _PreparedInto:
    cluster: RestCluster
    encoder: Encoder
    settings: Settings
    plan: IntoPlan
    where: ElsewhereWish
    documents: int

    @property
    def changes(self) -> list[str]:
        plan, added = self.plan, self.plan.fill.added
        texts = ", ".join(f"{name}^{boost:g}" for name, boost in added.text.items())
        done = "is gone on with" if plan.exists else "is made with the mapping and the settings of that"
        lines = [
            f"index {plan.old} ({self.documents:,} documents) is read, and not written to",
            f"- the index {plan.new} {done}, and the nested field {added.names.passages!r} with passages of its texts "
            f"({texts}) and vectors of {added.encoder.dims} dimensions by {added.encoder.name}",
        ]
        return lines + self._describe_switch()

    def _describe_switch(self) -> list[str]:
        plan, blocks = self.plan, self.where.block_writes
        if not self.where.swap:
            return [f"- nothing is switched; {plan.old} goes on to answer searches and to take writes"]
        blocked = "- for a moment writes are blocked, and answered with 403: applications have to repeat them"
        if plan.takes_name:
            return [f"- at the end {plan.new} takes the name {plan.old}, and THE OLD INDEX IS DELETED by that", blocked]
        aliases = ", ".join(plan.aliases)
        moved = f"- at the end what is called {aliases} is {plan.new}, in one call; {plan.old} stays as it is"
        if blocks:
            return [moved, blocked]
        return [
            moved,
            "- whole documents written, and deletes, in that moment come over right after it. A partial update or a "
            "conditional write of a document that was written in that very moment may meet the state before; "
            "--block-writes rules that out",
        ]

    async def run(self, stop: asyncio.Future[str], on_progress: Show) -> ElsewhereReport:
        plan = self.plan
        await create_new(self.cluster, plan)
        pace = WritePace()
        job = IntoJob(
            self.cluster, plan, self.encoder, self.settings.ingest, pace=pace, stop=stop, on_progress=on_progress
        )
        try:
            return await self._run(job, pace)
        finally:
            await job.end()

    async def _run(self, job: IntoJob, pace: WritePace) -> ElsewhereReport:
        plan = self.plan
        async with watching(watch_load(self.cluster.client, plan.old, pace, self.where.bounds)) as watch:
            filled = await job.run()
        report = ElsewhereReport("into", plan.old, plan.new, filled, notes=tuple(watch.notes))
        if not self.where.swap:
            return report
        if not report.ok:
            missing = f"{plan.new} did not take the place of {plan.old}: it was not filled whole"
            return replace(report, notes=(*report.notes, missing))
        switched = await switch(self.cluster, plan, job, block_writes=self.where.block_writes)
        return replace(report, filled=job.report_again(filled), switched=switched)
