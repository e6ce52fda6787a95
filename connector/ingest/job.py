"""One ingest job from its settings: open the source, the cluster and the index, run the pipeline, close everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from connector.clusters.protocol import Cluster, Index
from connector.errors import IndexExists, IndexMissing, SettingsError
from connector.event_loop import in_own_thread
from connector.ingest.documents import infer_fields
from connector.ingest.pipeline import Counts, IngestJob, JobReport
from connector.ingest.sources import Source, open_source
from connector.models.encoder import Encoder
from connector.schema import AnyFieldType, Fields
from connector.settings.sections import Settings
from connector.wiring import build_schema, check_encoder, load_encoder, open_cluster

SAMPLE_ROWS = 200


async def run_job(
    location: str,
    settings: Settings,
    *,
    rejects: Path | None = None,
    stop: asyncio.Future[str] | None = None,
    delete_missing: bool = False,
    on_progress: Callable[[Counts], None] = lambda counts: None,
    say: Callable[[str], None] = lambda message: None,
) -> JobReport:
    """Ingest the source at `location`. Raises ConnectorError where the job cannot start.

    Resolve `stop` with a reason to end the job early; see IngestJob. While the encoder is still being loaded, or exported for the
    first time, it ends at once."""
    started = time.monotonic()
    source = open_source(location)
    stop = stop or asyncio.get_running_loop().create_future()
    rejects = rejects or Path(f"{settings.index.name}-{Path(location).name}.rejects.jsonl")
    cluster = await open_cluster(settings)
    opening = asyncio.create_task(_open(cluster, settings, source, say))
    try:
        either: list[asyncio.Future[Any]] = [opening, stop]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            reason = stop.result()
            return JobReport(
                Counts(), time.monotonic() - started, stopped=reason, kept_missing=reason if delete_missing else None
            )
        index, encoder = opening.result()
        job = IngestJob(
            source,
            index,
            encoder,
            settings.ingest,
            rejects=rejects,
            stop=stop,
            delete_missing=delete_missing,
            on_progress=on_progress,
        )
        return await job.run()
    finally:
        opening.cancel()
        await asyncio.wait([opening])
        await cluster.close()


async def _open(
    cluster: Cluster, settings: Settings, source: Source, say: Callable[[str], None]
) -> tuple[Index, Encoder]:
    encoder = await in_own_thread(load_encoder, settings)
    return await _open_or_create(cluster, settings, source, encoder, say), encoder


async def _open_or_create(
    cluster: Cluster, settings: Settings, source: Source, encoder: Encoder, say: Callable[[str], None]
) -> Index:
    name = settings.index.name
    try:
        index = await cluster.open_index(name)
    except IndexMissing:
        fields = choose_fields(settings, source)
        say(f"creating index {name} in {cluster.engine}: {describe(fields)}")
        try:
            return await cluster.create_index(name, build_schema(settings, fields, encoder.fingerprint))
        except IndexExists:
            say(f"index {name} was made by another job in the meantime: going on with it")
            index = await cluster.open_index(name)
    check_encoder(index, encoder.fingerprint)
    _check_same_fields(settings, index)
    return index


def choose_fields(settings: Settings, source: Source) -> Fields:
    """The configured fields; what is not configured is worked out from the source's first rows."""
    given = settings.fields
    if given.text and (given.id or source.id_field):
        return Fields(text=given.text, metadata=given.metadata, id=given.id or source.id_field or "_id")
    found = infer_fields(list(islice(source, SAMPLE_ROWS)), id_field=given.id or source.id_field)
    if given.text:
        return Fields(text=given.text, metadata=given.metadata, id=found.id)
    metadata: Mapping[str, AnyFieldType] = given.metadata or {
        name: kind for name, kind in found.metadata.items() if name not in (given.text or {})
    }
    return Fields(text=given.text or found.text, metadata=metadata, id=found.id)


def describe(fields: Fields) -> str:
    """The fields in one line, as they would be set."""
    text = ", ".join(f"{name}={boost:g}" for name, boost in fields.text.items())
    metadata = ", ".join(f"{name}={kind}" for name, kind in fields.metadata.items())
    return f"id {fields.id}; text {text}" + (f"; metadata {metadata}" if metadata else "")


def _check_same_fields(settings: Settings, index: Index) -> None:
    """Refuse flags that contradict the index; an index keeps the fields that it was made with."""
    given, has = settings.fields, index.schema.fields
    if (given.text and dict(given.text) != dict(has.text)) or (
        given.metadata and dict(given.metadata) != dict(has.metadata)
    ):
        raise SettingsError(
            f"index {index.name!r} was made with other fields ({describe(has)}); leave them out, or use a new index"
        )
