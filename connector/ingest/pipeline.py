"""The ingest job: read -> check -> encode -> write, each stage at its own pace, with bounded queues between them.

Memory is bounded by the queues, never by the source. Every row that was read ends counted: written, unchanged or
failed; or, where the job stops early, as not finished, and the next run takes it up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.clusters.protocol import Index
from connector.errors import AccessDenied, ClusterError, ConnectorError, DocumentError, SourceError, first_of
from connector.ingest.counts import added
from connector.ingest.documents import content_hash, repeated_id, spell_id, to_document
from connector.ingest.encoding import NO_NUMBER, EncodedGroup, GroupEncoder
from connector.ingest.groups import DocumentGroup
from connector.ingest.missing import reason_to_keep, remove_missing
from connector.ingest.plan import used_columns
from connector.ingest.rejects import RejectsFile
from connector.ingest.report import Counts, JobReport, notes_of
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Row, Source
from connector.ingest.survey import has_value
from connector.ingest.writing import PatientIndex
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings
from connector.types import Document

log = logging.getLogger(__name__)
QUEUED_GROUPS = 2


class IngestJob:
    """One run over one source into one index.

    Once `stop` resolves, to the reason, the job reads and encodes no more, writes what is encoded, and ends within
    `ingest.grace_s`; the next run takes up the rest."""

    def __init__(
        self,
        source: Source,
        index: Index,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        rejects: Path,
        stop: asyncio.Future[str] | None = None,
        delete_missing: bool = False,
        keep_rejects: bool = False,
        seen: SeenIds | None = None,
        on_progress: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        """`keep_rejects`: those of an earlier job stay in the file. `seen` gets the ids, for the caller, who closes
        it."""
        self._source = source
        self._index = index
        self._settings = settings
        self._rejects = RejectsFile(rejects)
        self._unused: Counter[str] = Counter()
        self._used = used_columns(index.schema.fields)
        self._delete_missing = delete_missing
        self._keep_rejects = keep_rejects
        self._given_seen = seen
        self._on_progress = on_progress
        self._counts = Counts()
        self._counting = threading.Lock()
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._unreadable = 0
        self._broken: SourceError | None = None
        self._group_encoder = GroupEncoder(encoder, index.schema, lambda: self._stopping)
        self._patient = PatientIndex(index, settings, lambda again: self._count(retried=again))

    async def run(self) -> JobReport:
        """Run to the end, or until it is stopped, the cluster stays unavailable or the source breaks off.

        What was written by then stays and is not redone. Raises AccessDenied where the credentials may not begin."""
        started = time.monotonic()
        if not self._keep_rejects:
            self._rejects.clear()
        self._seen = self._given_seen or SeenIds()
        stopped = kept = None
        denied: AccessDenied | None = None
        try:
            try:
                await self._run_until_stopped()
            except* ConnectorError as errors:
                first = first_of(errors)
                stopped = str(first)
                denied = first if isinstance(first, AccessDenied) and not self._counts.written else None
            if denied:
                raise denied
            if self._stopping and stopped is None:
                stopped = self._stop.result()
            keep = stopped or reason_to_keep(read=self._counts.read, unreadable=self._unreadable)
            kept = keep if self._delete_missing else None
            try:
                if self._counts.written or not stopped:
                    async with asyncio.timeout(self._settings.grace_s if stopped else None):
                        await self._index.finish()
                if self._delete_missing and kept is None:
                    await remove_missing(
                        self._index, self._patient, self._seen.missing_from, lambda count: self._count(removed=count)
                    )
            except TimeoutError:
                log.warning("the index did not answer; what was written is found once it has refreshed itself")
            except ClusterError as error:
                stopped = stopped or str(error)
        finally:
            if self._given_seen is None:
                self._seen.close()
        return JobReport(
            self._counts,
            time.monotonic() - started,
            self._rejects.written(),
            stopped,
            kept,
            unused=dict(self._unused),
            renamed={column: name for name, column in self._index.schema.fields.columns.items()},
            notes=notes_of(self._source, self._counts.read),
            source_broke_off=self._broken is not None,
            unreadable=self._unreadable,
        )

    @property
    def _stopping(self) -> bool:
        return self._stop.done()

    async def _run_until_stopped(self) -> None:
        """The stages to their end; once the job is to stop, they have `ingest.grace_s` left."""
        stages = asyncio.create_task(self._run_stages())
        try:
            either: list[asyncio.Future[Any]] = [stages, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not stages.done():
                await asyncio.wait([stages], timeout=self._settings.grace_s)
        finally:
            stages.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stages

    async def _run_stages(self) -> None:
        checked: asyncio.Queue[DocumentGroup | None] = asyncio.Queue(QUEUED_GROUPS)
        encoded: asyncio.Queue[EncodedGroup | None] = asyncio.Queue(QUEUED_GROUPS)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._read_and_check(checked))
            stages.create_task(self._encode(checked, encoded))
            for _ in range(self._settings.writers):
                stages.create_task(self._write(encoded))
        if self._broken:
            raise self._broken

    async def _read_and_check(self, checked: asyncio.Queue[DocumentGroup | None]) -> None:
        groups = self._groups()
        while not self._stopping and (group := await asyncio.to_thread(next, groups, None)):
            changed = await self._patient.changed(group)
            self._count(unchanged=len(group.documents) - len(changed.documents))
            if changed.documents:
                await checked.put(changed)
        await checked.put(None)

    async def _encode(
        self, checked: asyncio.Queue[DocumentGroup | None], encoded: asyncio.Queue[EncodedGroup | None]
    ) -> None:
        while group := await checked.get():
            done = await asyncio.to_thread(self._encode_group, group)
            if done.documents:
                await encoded.put(done)
        for _ in range(self._settings.writers):
            await encoded.put(None)

    async def _write(self, encoded: asyncio.Queue[EncodedGroup | None]) -> None:
        while group := await encoded.get():
            outcomes = await self._patient.write(group.documents)
            passages = 0
            for row, written, outcome in zip(group.rows, group.documents, outcomes, strict=True):
                if outcome.error is None:
                    passages += len(written.passages)
                else:
                    self._rejects.keep(row, outcome.error)
            failed = sum(outcome.error is not None for outcome in outcomes)
            self._count(written=len(outcomes) - failed, failed=failed, passages=passages)

    def _groups(self) -> Iterator[DocumentGroup]:
        """Groups of documents, cut by count and bytes; rows that are no documents are rejected on the way."""
        group, size = DocumentGroup(), 0
        for row in self._rows():
            self._count(read=1)
            document = self._to_document(row)
            if document is None:
                continue
            group.add(row, document, content_hash(document, self._index.schema))
            size += sum(len(value) for value in document.fields.values() if isinstance(value, str))
            if len(group.documents) >= self._settings.group_documents or size >= self._settings.group_bytes:
                yield group
                group, size = DocumentGroup(), 0
        if group.documents:
            yield group

    def _rows(self) -> Iterator[Row]:
        """The source's rows; where it breaks off, it ends here, and what was read by then is still written."""
        try:
            yield from self._source
        except SourceError as error:
            self._broken = error

    def _count_unused(self, row: Row) -> None:
        self._unused.update(name for name, value in row.values.items() if name not in self._used and has_value(value))
        self._unused.update(name for name in row.faults if name not in self._used)

    def _to_document(self, row: Row) -> Document | None:
        reason = row.error
        if reason is None:
            try:
                document = to_document(row, self._index.schema.fields)
                if self._seen.add(document.doc_id):
                    self._count_unused(row)
                    return document
                reason = repeated_id(document.doc_id)
            except DocumentError as error:
                reason = str(error)
        doc_id = row.values.get(self._index.schema.fields.id)
        if doc_id is None:
            self._unreadable += 1
        else:
            self._seen.keep(spell_id(doc_id))
        self._rejects.keep(row, reason)
        self._count(failed=1)
        return None

    def _encode_group(self, group: DocumentGroup) -> EncodedGroup:
        """What was encoded of the group; only some where the job is to stop."""
        encoded = self._group_encoder.encode(group)
        for row in encoded.refused:
            self._rejects.keep(row, NO_NUMBER)
        self._count(failed=len(encoded.refused))
        return encoded

    def _count(self, **more: int) -> None:
        """Add to the counts, from any thread."""
        with self._counting:
            self._counts = replace(added(self._counts, **more), progress=self._source.progress)
        self._on_progress(self._counts)
