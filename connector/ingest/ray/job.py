"""One run over one source into one index, on the processes of a Ray cluster. Its index is the one that a single
process makes, and its account has every row once, whatever processes were lost on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray.data
from ray.exceptions import RayError

from connector.clusters.protocol import Index
from connector.errors import AccessDenied, ClusterError, ConnectorError
from connector.event_loop import in_own_thread
from connector.ingest.missing import reason_to_keep, remove_missing
from connector.ingest.ray.account import CheckedRows, PartAccount
from connector.ingest.ray.board import Board
from connector.ingest.ray.cluster import RayRoom, connected, explain_end
from connector.ingest.ray.encoding import EncodeDocuments
from connector.ingest.ray.first_rows import FirstRows
from connector.ingest.ray.parcels import unpack
from connector.ingest.ray.part import JobPart
from connector.ingest.ray.reading import ReadShard, ShardsDatasource, check_shard, read_shard
from connector.ingest.ray.shards import SourceShard, cut_source
from connector.ingest.ray.shortage import Shortage
from connector.ingest.ray.sink import WriteTasks
from connector.ingest.rejects import RejectsFile
from connector.ingest.report import Counts, JobReport
from connector.ingest.writing import PatientIndex
from connector.settings.sections import Settings

LOOK_S = 0.5  # between two looks at the board
READ_CPUS, WRITE_CPUS = 0.5, 0.25  # beside the actors that encode


class RayJob:
    """One run. Once `stop` resolves, to the reason, shards are read and encoded no more, what is encoded is written,
    and the job ends within `ingest.grace_s`; the next run takes up the rest."""

    def __init__(
        self,
        location: str,
        index: Index,
        settings: Settings,
        room: RayRoom,
        *,
        rejects: Path,
        stop: asyncio.Future[str],
        delete_missing: bool,
        on_progress: Callable[[Counts], None],
    ) -> None:
        self._location = location
        self._index = index
        self._settings = settings
        self._room = room
        self._rejects = RejectsFile(rejects)
        self._stop = stop
        self._delete_missing = delete_missing
        self._on_progress = on_progress
        self._counts = Counts()
        self._account = PartAccount()
        self._unreadable = 0
        self._broken: str | None = None
        self._stopped: str | None = None
        self._denied = False
        self._is_checked = False

    @staticmethod
    def connecting(location: str, settings: Settings) -> AbstractAsyncContextManager[RayRoom]:
        """The room that a job has, for as long as the block lasts. Raises RayUnavailable."""
        return connected(settings.ray, location)

    async def run(self) -> JobReport:
        """Run to the end, or until it is stopped, the cluster stays unavailable or the source breaks off. Raises
        AccessDenied where the credentials may not begin."""
        started = time.monotonic()
        self._rejects.clear()
        self._first_rows = FirstRows()
        try:
            board = await in_own_thread(Board)
            await self._watch(board, asyncio.create_task(in_own_thread(self._work, board)))
            if self._denied and not self._counts.written:
                raise AccessDenied(str(self._stopped))
            keep = self._stopped or reason_to_keep(read=self._counts.read, unreadable=self._unreadable)
            kept = keep if self._delete_missing else None
            await self._finish(remove=self._delete_missing and kept is None)
        finally:
            self._first_rows.close()
        return JobReport(
            self._counts,
            time.monotonic() - started,
            self._rejects.written(),
            self._stopped,
            kept,
            unused=dict(self._account.unused),
            renamed={column: name for name, column in self._index.schema.fields.columns.items()},
            notes=dict(self._account.notes) | ({} if self._counts.read else {"the source holds no rows": 1}),
            source_broke_off=self._broken is not None,
        )

    async def _watch(self, board: Board, work: asyncio.Task[None]) -> None:
        """Until the work ends: say how far it is, and hand on that it is to stop; then it has `ingest.grace_s`, after
        which it is left as it is."""
        end: float | None = None
        counts: dict[str, int] = {}
        given = self._settings.ray
        processors = self._room.encoders * given.encoder_cpus + READ_CPUS
        shortage = Shortage({"CPU": processors, "GPU": self._room.encoders * given.encoder_gpus}, given.wait_s)
        while not work.done():
            await asyncio.wait([work], timeout=LOOK_S)
            if self._stop.done() and end is None:
                end = time.monotonic() + self._settings.ingest.grace_s
                await in_own_thread(board.stop, self._stop.result())
            counts = (await in_own_thread(board.state))[0] or counts
            if not work.done():
                self._show(counts)
                is_over = end is not None and time.monotonic() > end
                reason = self._stop.result() if is_over else shortage.reason((counts, self._counts))
                if reason:
                    self._stopped, self._counts = reason, self._with(counts)
                    return
        try:
            await work
        except (ConnectorError, RayError) as error:
            self._stopped = self._stopped or explain_end(error)

    def _show(self, counts: dict[str, int]) -> None:
        now = self._with(counts)
        done = (now.written + now.unchanged + now.failed) / max(now.read, 1) if self._is_checked else 0.0
        self._on_progress(replace(now, progress=min(done, 1.0)))

    def _with(self, counts: dict[str, int]) -> Counts:
        """The counts of the first reading with those of the board."""
        return replace(self._counts, **counts | {"failed": self._counts.failed + counts.get("failed", 0)})

    def _work(self, board: Board) -> None:
        """All that is done by Ray, in a thread of its own."""
        part = JobPart(self._settings, self._index.schema, board)
        shards = cut_source(self._location, self._room.shards)
        self._check(part, shards)
        self._is_checked = True
        if not board.stopping:
            self._write(part, shards)
        _, reason, self._denied = board.state()
        self._stopped = reason or self._broken or self._without_outcome()

    def _without_outcome(self) -> str | None:
        """What is to be said where documents were lost on the way; nothing where each has an outcome."""
        counts = self._counts
        lost = counts.read - counts.written - counts.unchanged - counts.failed
        return f"{lost:,} documents were lost on their way between processes; run it again to go on" if lost else None

    def _check(self, part: JobPart, shards: Sequence[SourceShard]) -> None:
        """The first reading: what cannot be a document is kept, and each id gets its row."""
        for checked in self._checked(part, shards):
            self._first_rows.add(checked.shard, checked.ids)
            for line, doc_id in checked.rejects:
                self._rejects.keep_line(line)
                if doc_id is None:
                    self._unreadable += 1
                else:
                    self._first_rows.keep(doc_id)
            self._broken = self._broken or checked.broke_off
            read, failed = self._counts.read + checked.read, self._counts.failed + len(checked.rejects)
            self._counts = replace(self._counts, read=read, failed=failed)
            self._on_progress(self._counts)

    def _checked(self, part: JobPart, shards: Sequence[SourceShard]) -> Iterator[CheckedRows]:
        rows = _read(shards, partial(check_shard, part))
        for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from (content for _, content in unpack(table))

    def _write(self, part: JobPart, shards: Sequence[SourceShard]) -> None:
        """The second reading: documents are encoded by actors, and written by no more tasks than `ingest.writers`."""
        given = self._settings
        sink = WriteTasks(part)
        _read(shards, partial(read_shard, part, dict(self._first_rows.repeated))).map_batches(
            EncodeDocuments,
            fn_constructor_args=(part,),
            batch_size=1,
            batch_format="pyarrow",
            concurrency=self._room.encoders,
            num_cpus=given.ray.encoder_cpus,
            num_gpus=given.ray.encoder_gpus,
        ).write_datasink(sink, concurrency=given.ingest.writers, ray_remote_args={"num_cpus": WRITE_CPUS})
        account = self._account = sink.total or PartAccount()
        for line in account.rejects:
            self._rejects.keep_line(line)
        self._counts = replace(
            self._counts,
            written=account.written,
            unchanged=account.unchanged,
            failed=self._counts.failed + account.failed,
            passages=account.passages,
            retried=account.retried,
            progress=1.0,
        )

    async def _finish(self, *, remove: bool) -> None:
        try:
            if self._counts.written or not self._stopped:
                async with asyncio.timeout(self._settings.ingest.grace_s if self._stopped else None):
                    await self._index.finish()
            if remove:
                patient = PatientIndex(self._index, self._settings.ingest, self._retried)
                await remove_missing(self._index, patient, self._first_rows.missing_from, self._removed)
        except (TimeoutError, ClusterError) as error:
            self._stopped = self._stopped or str(error)

    def _retried(self, count: int) -> None:
        self._counts = replace(self._counts, retried=self._counts.retried + count)

    def _removed(self, count: int) -> None:
        self._counts = replace(self._counts, removed=self._counts.removed + count)


def _read(shards: Sequence[SourceShard], read: ReadShard) -> Any:
    """The dataset of what is read out of shards."""
    return ray.data.read_datasource(ShardsDatasource(shards, read), override_num_blocks=len(shards), num_cpus=READ_CPUS)
