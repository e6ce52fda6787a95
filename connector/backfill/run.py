"""A back-fill from its settings, or its undoing: look and plan, and then a job for each index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.backfill.engine import engine_of
from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.in_place.job import BackfillJob, run_watched
from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds
from connector.backfill.planning.dry_run import BackfillRehearsal, rehearse_backfill
from connector.backfill.planning.plan import BackfillWish, ProbedIndex, describe_change, plan_backfill, probe_indices
from connector.backfill.planning.reading import find_indices
from connector.backfill.probe.intent import Intent
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.undo import UndoJob, UndoPlan, UndoReport, plan_undo
from connector.clusters.rest import RestCluster
from connector.event_loop import in_own_thread
from connector.extras import needs
from connector.ingest.rejects import RejectsFile
from connector.models.encoder import Encoder
from connector.settings.sections import Settings
from connector.wiring import load_encoder

NO_BOUNDS = LoadBounds()
FillIndex = Callable[[BackfillPlan, int, Path], Awaitable[BackfillReport]]


@dataclass(frozen=True, slots=True)
class PreparedBackfill:
    """What is to be done, before anything is written: a plan for each index, and what that changes, in sentences."""

    cluster: RestCluster
    encoder: Encoder
    settings: Settings
    probed: Sequence[ProbedIndex]
    plans: Sequence[BackfillPlan]

    @property
    def changes(self) -> list[str]:
        """What is about to be changed, for whoever decides."""
        pairs = zip(self.plans, self.probed, strict=True)
        return [line for plan, probed_index in pairs for line in describe_change(plan, probed_index)]


@asynccontextmanager
async def preparing(settings: Settings, wish: BackfillWish) -> AsyncIterator[PreparedBackfill]:
    """The back-fill of each index behind settings.index.name. Raises ConnectorError where one cannot be filled."""
    async with engine_of(settings) as cluster:
        probed = await probe_indices(cluster, settings.index.name, wish)
        encoder = await in_own_thread(load_encoder, settings)
        encoder.token_offsets(())  # passages are cut by its tokens: what that needs is missed before anything is made
        plans = [await plan_backfill(cluster, probed_index, encoder.fingerprint, settings) for probed_index in probed]
        yield PreparedBackfill(cluster, encoder, settings, probed, plans)


async def fill(
    prepared: PreparedBackfill,
    *,
    rejects: Path | None = None,
    bounds: LoadBounds = NO_BOUNDS,
    stop: asyncio.Future[str] | None = None,
    on_progress: Callable[[BackfillCounts], None] = lambda counts: None,
) -> list[BackfillReport]:
    """Do it: fields into every mapping first, then a job for each index. Resolve `stop` with a reason to end early: see
    BackfillJob. Raises SettingsError where another job has a file of rejects."""
    stop = stop or asyncio.get_running_loop().create_future()
    files = [rejects or Path(f"{plan.index}.backfill.rejects.jsonl") for plan in prepared.plans]
    async with AsyncExitStack() as kept:
        for file in dict.fromkeys(files):
            kept.enter_context(RejectsFile(file).held())
        fill_one_index = await kept.enter_async_context(_filler(prepared, bounds, stop, on_progress))
        for file in files:
            RejectsFile(file).clear()
        for plan in prepared.plans:
            await put_fields(prepared.cluster, plan)
        reports = []
        for plan, probed_index, kept_in in zip(prepared.plans, prepared.probed, files, strict=True):
            if stop.done():
                reports.append(
                    BackfillReport(plan.index, BackfillCounts(probed_index.documents), 0.0, stopped=stop.result())
                )
                continue
            reports.append(await fill_one_index(plan, probed_index.documents, kept_in))
    return reports


@asynccontextmanager
async def _filler(
    prepared: PreparedBackfill,
    bounds: LoadBounds,
    stop: asyncio.Future[str],
    on_progress: Callable[[BackfillCounts], None],
) -> AsyncIterator[FillIndex]:
    """What fills an index by its plan, of so many documents: this process, or a Ray cluster that is connected for as
    long as the block lasts."""
    settings = prepared.settings

    async def fill_here(plan: BackfillPlan, expected: int, rejects: Path) -> BackfillReport:
        pace = WritePace()
        job = BackfillJob(
            prepared.cluster, plan, prepared.encoder, settings.ingest,
            expected=expected, rejects=rejects, pace=pace, stop=stop, on_progress=on_progress,
        )  # fmt: skip
        return await run_watched(job, prepared.cluster, plan, pace, bounds)

    if not settings.ray.address:
        yield fill_here
        return
    with needs("ray", "a back-fill on a Ray cluster (--ray)"):
        from connector.backfill.in_place.on_ray import RayBackfill

    async with RayBackfill.connecting(settings) as room:

        async def fill_there(plan: BackfillPlan, expected: int, rejects: Path) -> BackfillReport:
            return await RayBackfill(plan, settings, room, expected, bounds, rejects, stop, on_progress).run()

        yield fill_there


async def rehearse(prepared: PreparedBackfill) -> list[BackfillRehearsal]:
    """What it would change and take, of each index. Nothing is written."""
    found = []
    for plan, probed_index in zip(prepared.plans, prepared.probed, strict=True):
        intent = Intent(probed_index.names, tuple(probed_index.text), probed_index.versions)
        found.append(
            await rehearse_backfill(
                prepared.cluster, plan, probed_index.facts, intent, prepared.encoder, prepared.settings.ingest
            )
        )
    return found


@asynccontextmanager
async def preparing_undo(settings: Settings, field: str | None) -> AsyncIterator[tuple[RestCluster, list[UndoPlan]]]:
    """What is to be taken out of each index behind settings.index.name. Raises ConnectorError where nothing is."""
    async with engine_of(settings) as cluster:
        indices = await find_indices(cluster, settings.index.name)
        yield cluster, [await plan_undo(cluster, index, field) for index in indices]


async def undo(
    cluster: RestCluster,
    plans: Sequence[UndoPlan],
    settings: Settings,
    *,
    stop: asyncio.Future[str],
    on_progress: Callable[[BackfillCounts], None] = lambda counts: None,
) -> list[UndoReport]:
    """Take it out of one index after the other, until `stop` resolves to a reason."""
    expected, before = sum(plan.documents for plan in plans), 0
    reports = []
    for plan in plans:

        def tell(done: int, before: int = before) -> None:
            on_progress(BackfillCounts(expected=expected, found=before + done, written=before + done))

        reports.append(await UndoJob(cluster, plan, settings.ingest, stop=stop, on_progress=tell).run())
        before += plan.documents
    return reports
