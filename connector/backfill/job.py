"""The back-fill of one index in place: read -> encode -> write side by side, round after round, until nothing is left.

There is no checkpoint that could be wrong. What needs work is found by a query, so a job that was killed is simply run
again. The first round looks at every document: those without passages are encoded, of the others the text is held
against the marker. A later round looks at what was written since, and passes over what this job itself wrote. Memory
is bounded by the queues, never by the index."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from connector.backfill.encoding import NO_NUMBER, EncodedWork, WorkItem, encode_group
from connector.backfill.fields import BackfillPlan
from connector.backfill.own_writes import OwnWrites
from connector.backfill.passages import is_of_its_text
from connector.backfill.report import BackfillCounts, BackfillReport, Ledger
from connector.backfill.scan import (
    NONE_YET,
    FoundDocument,
    Shard,
    find_work,
    has_work_done,
    last_seq_no,
    read_documents,
)
from connector.backfill.throttle import WritePace
from connector.backfill.writing import UpdateWriter
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, ConnectorError
from connector.ingest.rejects import RejectsFile
from connector.models.encoder import Encoder
from connector.retries import pauses
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)
QUEUED_GROUPS = 2
MOST_ROUNDS = 8
SKIPPED_INTERVALS = 200  # of our own writes, that a query leaves out
IN_FLIGHT = 1_000  # writes may become visible after later ones: so many numbers are looked at twice
UNREFRESHED = (
    "these credentials may not refresh the index, so that writes of the last moments were not seen; a further run, or "
    "connector follow, sees them"
)


class BackfillJob:
    """One run over one index, whose mapping has our fields already.

    Once `stop` resolves, to the reason, the job reads and encodes no more, writes what is encoded, and ends within
    `ingest.grace_s`; the next run takes up the rest."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: BackfillPlan,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        expected: int,
        rejects: Path,
        pace: WritePace | None = None,
        stop: asyncio.Future[str] | None = None,
        on_progress: Callable[[BackfillCounts], None] = lambda counts: None,
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._encoder = encoder
        self._settings = settings
        self._rejects = RejectsFile(rejects)
        self._ledger = Ledger(expected)
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._on_progress = on_progress
        self._own = [OwnWrites() for _ in range(plan.shards)]
        self._looked_upto = [NONE_YET] * plan.shards
        self._items = 0  # of the round that is under way
        self._notes: dict[str, None] = {}
        self._writer = UpdateWriter(
            cluster,
            plan,
            settings,
            ledger=self._ledger,
            own=self._own,
            pace=pace or WritePace(),
            rejects=self._rejects,
        )

    async def run(self) -> BackfillReport:
        """Run until nothing is left, or until it is stopped or the cluster stays unavailable.

        What was written by then stays and is not redone. Raises AccessDenied where the credentials may not begin."""
        started = time.monotonic()
        self._rejects.clear()
        stopped: str | None = None
        denied: AccessDenied | None = None
        try:
            try:
                await self._run_until_stopped()
            except* ConnectorError as errors:
                first = _innermost(errors)
                stopped = str(first)
                denied = first if isinstance(first, AccessDenied) and not self._ledger.counts.written else None
            if denied:
                raise denied
            if self._stopping and stopped is None:
                stopped = self._stop.result()
            with contextlib.suppress(ClusterError, TimeoutError):
                async with asyncio.timeout(self._settings.grace_s):
                    await self._refresh()
            counts = self._ledger.counts
        finally:
            self._ledger.close()
        return BackfillReport(
            self._plan.index,
            counts,
            time.monotonic() - started,
            self._rejects.written(),
            stopped,
            reasons=dict(self._writer.reasons),
            notes=tuple(self._notes),
        )

    @property
    def _stopping(self) -> bool:
        return self._stop.done()

    async def _run_until_stopped(self) -> None:
        """The rounds to their end; once the job is to stop, they have `ingest.grace_s` left."""
        rounds = asyncio.create_task(self._run_rounds())
        try:
            either: list[asyncio.Future[Any]] = [rounds, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not rounds.done():
                await asyncio.wait([rounds], timeout=self._settings.grace_s)
        finally:
            rounds.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await rounds

    async def _run_rounds(self) -> None:
        for _ in range(MOST_ROUNDS):
            await self._refresh()
            upto = [await last_seq_no(self._cluster, self._shard(number)) for number in range(self._plan.shards)]
            self._items = 0
            await self._run_stages(upto)
            self._looked_upto = [max(NONE_YET, number - IN_FLIGHT) for number in upto]
            if self._stopping or not self._items:
                return
        self._notes["documents are written all the time; connector follow keeps the passages right"] = None

    async def _run_stages(self, upto: list[int]) -> None:
        """One round over all that was written up to these sequence numbers."""
        found: asyncio.Queue[list[WorkItem] | None] = asyncio.Queue(QUEUED_GROUPS)
        encoded: asyncio.Queue[EncodedWork | None] = asyncio.Queue(QUEUED_GROUPS)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._read(upto, found))
            stages.create_task(self._encode(found, encoded))
            for _ in range(self._settings.writers):
                stages.create_task(self._write(encoded))

    async def _read(self, upto: list[int], found: asyncio.Queue[list[WorkItem] | None]) -> None:
        group: list[WorkItem] = []
        size = 0
        async for item in self._find(upto):
            if self._stopping:
                break
            if self._ledger.was_refused(item.document):
                continue
            self._items += 1
            group.append(item)
            size += sum(map(len, item.document.texts.values()))
            if len(group) >= self._settings.group_documents or size >= self._settings.group_bytes:
                await found.put(group)
                group, size = [], 0
        if group and not self._stopping:
            await found.put(group)
        await found.put(None)

    async def _encode(
        self, found: asyncio.Queue[list[WorkItem] | None], encoded: asyncio.Queue[EncodedWork | None]
    ) -> None:
        while group := await found.get():
            if self._stopping:
                continue
            made = await asyncio.to_thread(encode_group, self._plan, group, self._encoder, lambda: self._stopping)
            for document in made.unchanged:
                self._settle_done(document)
            for document in made.failed:
                self._writer.refuse(document, NO_NUMBER)
            if made.updates:
                await encoded.put(made)
        for _ in range(self._settings.writers):
            await encoded.put(None)

    async def _write(self, encoded: asyncio.Queue[EncodedWork | None]) -> None:
        while group := await encoded.get():
            await self._writer.write(group.updates)
            self._on_progress(self._ledger.counts)

    async def _find(self, upto: list[int]) -> AsyncIterator[WorkItem]:
        """What needs work: documents without passages, wherever they are; and of those that have passages and were
        written since the last look, the ones whose text is another now."""
        for number in range(self._plan.shards):
            work = partial(find_work, self._cluster, self._plan, number, upto=upto[number])
            async for document in self._steadily(work, NONE_YET):
                yield WorkItem(document, has_passages=False)
            own = self._own[number]
            query = has_work_done(self._plan, own.longest(SKIPPED_INTERVALS))
            done = partial(read_documents, self._cluster, self._plan, number, query, upto=upto[number])
            async for document in self._steadily(done, self._looked_upto[number]):
                if document.seq_no in own:
                    continue
                if is_of_its_text(self._plan, document):
                    self._settle_done(document)
                else:
                    yield WorkItem(document, has_passages=True)

    def _settle_done(self, document: FoundDocument) -> None:
        """Count a document that is right as it is."""
        empty = document.marker == self._plan.added.without_text
        self._ledger.settle(document, "without_text" if empty else "unchanged")
        counts = self._ledger.counts
        if counts.found % self._settings.group_documents == 0:
            self._on_progress(counts)

    async def _steadily(
        self, read: Callable[..., AsyncIterator[FoundDocument]], after: int
    ) -> AsyncIterator[FoundDocument]:
        """The documents, from behind the last one again where the cluster was away for a while. Raises its last
        ClusterUnavailable."""
        waits = pauses(self._settings.backoff_s, self._settings.max_attempts)
        while True:
            try:
                async for document in read(after=after):
                    after = document.seq_no
                    yield document
                return
            except ClusterUnavailable as error:
                wait_s = next(waits)
                if wait_s is None:
                    raise
                log.warning("%s; trying again in %.1f s", error, wait_s)
                self._ledger.add(retried=1)
            await asyncio.sleep(wait_s)

    async def _refresh(self) -> None:
        """Let searches see what was written. Without the privilege, they see it somewhat later."""
        path = index_path(self._plan.index, "_refresh")
        try:
            await self._cluster.client.request("POST", path, timeout_s=ADMIN_TIMEOUT_S)
        except AccessDenied:
            self._notes[UNREFRESHED] = None

    def _shard(self, number: int) -> Shard:
        return Shard(self._plan.index, number, self._plan.shards)


def _innermost(errors: BaseExceptionGroup) -> BaseException:
    inner = errors.exceptions[0]
    return _innermost(inner) if isinstance(inner, BaseExceptionGroup) else inner
