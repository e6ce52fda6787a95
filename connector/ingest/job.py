"""One ingest job from its settings: open the source, the cluster and the index, run the pipeline, close everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.clusters.by_encoder import check_encoder
from connector.clusters.connect import EMBEDDED_PREFIX
from connector.clusters.paths import check_name
from connector.clusters.protocol import Cluster, Index
from connector.errors import IndexExists, IndexMissing, SettingsError
from connector.event_loop import in_own_thread
from connector.extras import needs
from connector.ingest.pipeline import IngestJob
from connector.ingest.plan import Plan, dotted_columns, empty_columns, plan_fields
from connector.ingest.rejects import RejectsFile, check_apart
from connector.ingest.report import Counts, JobReport
from connector.ingest.sources import Source, open_source
from connector.ingest.survey import survey_source
from connector.models.encoder import Encoder
from connector.schema import Fields
from connector.settings.sections import Settings
from connector.wiring import build_schema, load_encoder, opened_cluster

if TYPE_CHECKING:
    from connector.ingest.ray.job import RayJob


async def run_job(
    location: str,
    settings: Settings,
    *,
    rejects: Path | None = None,
    stop: asyncio.Future[str] | None = None,
    delete_missing: bool = False,
    on_progress: Callable[[Counts], None] = lambda counts: None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    say: Callable[[str], None] = lambda message: None,
) -> JobReport:
    """Ingest the source at `location`. Raises ConnectorError where the job cannot start.

    `on_plan` is told what becomes of each column before a new index is made. Resolve `stop` with a reason to end the
    job early; see IngestJob. While the source is still being surveyed, or the encoder being loaded, it ends at once."""
    started = time.monotonic()
    source = open_source(location, settings)
    ray_job = _ray_job(location, settings) if settings.ray.address else None
    stop = stop or asyncio.get_running_loop().create_future()
    rejects = rejects or rejects_file(settings, location)
    check_apart(rejects, location)
    async with AsyncExitStack() as open_until_end:
        open_until_end.enter_context(RejectsFile(rejects).held())  # before anything is read or made
        cluster = await open_until_end.enter_async_context(opened_cluster(settings))
        connecting = ray_job.connecting(location, settings) if ray_job else nullcontext()
        room = await open_until_end.enter_async_context(connecting)
        opening = asyncio.create_task(open_target(cluster, settings, source, on_plan, say, stop.done))
        open_until_end.push_async_callback(_cancel, opening)
        either: list[asyncio.Future[Any]] = [opening, stop]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            reason = stop.result()
            return JobReport(
                Counts(), time.monotonic() - started, stopped=reason, kept_missing=reason if delete_missing else None
            )
        index, encoder, plan = opening.result()
        options: dict[str, Any] = {"rejects": rejects, "stop": stop, "delete_missing": delete_missing}
        job: IngestJob | RayJob
        if ray_job and room:
            job = ray_job(location, index, settings, room, **options, on_progress=on_progress)
        else:
            job = IngestJob(source, index, encoder, settings.ingest, **options, on_progress=on_progress)
        report = await job.run()
        return replace(report, plan=plan, notes={**report.notes, **(empty_columns(plan) if plan else {})})


async def _cancel(opening: asyncio.Task[Any]) -> None:
    opening.cancel()
    await asyncio.wait([opening])


def rejects_file(settings: Settings, location: str) -> Path:
    """Where what fails is kept when no place was named."""
    name = Path(location.partition("?")[0] if "://" in location else location).name
    return Path(f"{settings.index.name}-{name}.rejects.jsonl")


def _ray_job(location: str, settings: Settings) -> type[RayJob]:
    """The job on a Ray cluster. Raises MissingExtra, and what makes such a job impossible before anything is made."""
    with needs("ray", "a job on a Ray cluster (--ray)"):
        from connector.ingest.ray.job import RayJob
    from connector.ingest.ray.shards import check_location

    check_location(location)
    if settings.cluster.url.startswith(EMBEDDED_PREFIX):
        raise SettingsError(
            "the embedded store has one writer at a time, and a Ray cluster has several; set cluster.url to a cluster, "
            "or leave out --ray"
        )
    return RayJob


async def open_target(
    cluster: Cluster,
    settings: Settings,
    source: Source,
    on_plan: Callable[[Plan], None],
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> tuple[Index, Encoder, Plan | None]:
    """The index, which is made where it is missing, with the plan that it was made by."""
    plan, index = None, await find_index(cluster, settings)
    if index is None:
        plan = await in_own_thread(make_plan, settings, source, stopped)
        on_plan(plan)
    encoder = await in_own_thread(load_encoder, settings)
    encoder.token_offsets(())  # passages are cut by its tokens: what that needs is missed before anything is made
    if index is None and plan is not None:
        say(f"creating index {settings.index.name} in {cluster.engine}: {describe(plan.fields)}")
        index = await _create(cluster, settings, plan.fields, encoder, say)
    assert index is not None
    check_encoder(index, encoder.fingerprint)
    return index, encoder, plan


async def find_index(cluster: Cluster, settings: Settings) -> Index | None:
    """The index, or None where there is none. Raises SettingsError where the name stands for several, or where its
    fields are others than those given."""
    check_name(settings.index.name)
    try:
        index = await cluster.open_index(settings.index.name)
    except IndexMissing:
        return None
    if members := index.schema.layout.members.names:
        raise SettingsError(
            f"{index.name!r} stands for several indices ({', '.join(members[:5])}); name the one to ingest into"
        )
    _check_same_fields(settings, index)
    return index


def make_plan(settings: Settings, source: Source, stopped: Callable[[], bool] = lambda: False) -> Plan:
    """The fields of a new index: as configured; what is not configured is worked out from the whole source."""
    survey = survey_source(source, stopped=stopped, paths=dotted_columns(settings.fields))
    return plan_fields(survey, settings.fields, id_field=source.id_field)


async def _create(
    cluster: Cluster, settings: Settings, fields: Fields, encoder: Encoder, say: Callable[[str], None]
) -> Index:
    name = settings.index.name
    try:
        return await cluster.create_index(name, build_schema(settings, fields, encoder.fingerprint))
    except IndexExists:
        say(f"index {name} was made by another job in the meantime: going on with it")
        index = await cluster.open_index(name)
        _check_same_fields(settings, index)
        return index


def describe(fields: Fields) -> str:
    """The fields in one line, as they would be set."""
    text = ", ".join(f"{name}={boost:g}" for name, boost in fields.text.items())
    metadata = ", ".join(f"{name}={kind}" for name, kind in fields.metadata.items())
    return f"id {fields.id}; text {text}" + (f"; metadata {metadata}" if metadata else "")


def _check_same_fields(settings: Settings, index: Index) -> None:
    """Refuse flags that contradict the index; an index keeps the fields that it was made with."""
    given, has = settings.fields, index.schema.fields
    text = {has.column(name): boost for name, boost in has.text.items()}
    metadata = {has.column(name): kind for name, kind in has.metadata.items()}
    if (given.text and dict(given.text) != text) or (given.metadata and dict(given.metadata) != metadata):
        raise SettingsError(
            f"index {index.name!r} was made with other fields ({describe(has)}); leave them out, or use a new index"
        )
