"""What an ingest job would do: which fields an index would get, which rows would fail. Nothing is written or made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.clusters.connect import EMBEDDED_PREFIX, embedded_folder
from connector.errors import DocumentError, SourceError
from connector.event_loop import in_own_thread
from connector.ingest.documents import repeated_id, to_document
from connector.ingest.job import find_index
from connector.ingest.plan import Plan, describe_existing, dotted_columns, empty_columns, plan_fields
from connector.ingest.report import notes_of
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Row, Source, open_source
from connector.ingest.survey import survey_source
from connector.schema import Fields
from connector.settings.sections import Settings
from connector.wiring import opened_cluster

SHOWN_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that would fail."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a job would do. `exists` says whether the index is there; `broken` why the source ends early."""

    exists: bool
    plan: Plan
    rows: int
    failed: int
    failures: tuple[Failure, ...]
    broken: str | None
    notes: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return not self.failed and self.broken is None


async def rehearse(location: str, settings: Settings) -> DryRun:
    """Read the source, and ask the cluster only whether the index is there.

    Raises ConnectorError where a job could not start."""
    source = open_source(location, settings)
    fields = await _existing_fields(settings)
    return await in_own_thread(_rehearse, source, settings, fields)


async def _existing_fields(settings: Settings) -> Fields | None:
    url = settings.cluster.url
    if url.startswith(EMBEDDED_PREFIX) and not embedded_folder(url).is_dir():
        return None  # to open it would make it
    async with opened_cluster(settings) as cluster:
        index = await find_index(cluster, settings)
    return index.schema.fields if index else None


def _rehearse(source: Source, settings: Settings, fields: Fields | None) -> DryRun:
    survey = survey_source(source, paths=dotted_columns(settings.fields))
    if fields is None:
        plan = plan_fields(survey, settings.fields, id_field=source.id_field)
    else:
        plan = describe_existing(survey, fields)
    seen, rows, failed, broken = SeenIds(), 0, 0, None
    failures: list[Failure] = []
    try:
        for row in source:
            rows += 1
            if reason := _why_failed(row, plan.fields, seen):
                failed += 1
                failures += [Failure(row.origin, reason)] if failed <= SHOWN_FAILURES else []
    except SourceError as error:
        broken = str(error)
    finally:
        seen.close()
    notes = notes_of(source, rows) | empty_columns(plan)
    return DryRun(fields is not None, plan, rows, failed, tuple(failures), broken, notes)


def _why_failed(row: Row, fields: Fields, seen: SeenIds) -> str | None:
    if row.error:
        return row.error
    try:
        document = to_document(row, fields)
    except DocumentError as error:
        return str(error)
    return None if seen.add(document.doc_id) else repeated_id(document.doc_id)
