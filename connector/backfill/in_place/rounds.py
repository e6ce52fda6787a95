"""One round of a back-fill: documents of every shard are read, encoded and written side by side. Memory is bounded by
the queues, never by the index."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from connector.backfill.encoding import NO_NUMBER, EncodedWork, WorkItem, encode_group
from connector.backfill.fields import BackfillPlan, with_others_now
from connector.backfill.in_place.done_upto import DoneUpTo, GroupUnderWay, ReadUpTo
from connector.backfill.in_place.meta_guard import MetaGuard
from connector.backfill.in_place.own_writes import OwnWrites
from connector.backfill.in_place.writing import UpdateWriter
from connector.backfill.pace.patience import patient
from connector.backfill.pace.throttle import WritePace
from connector.backfill.passages import is_of_its_text
from connector.backfill.report import BackfillCounts, BackfillReport, Ledger
from connector.backfill.same_index import SameIndex
from connector.backfill.scan import NONE_YET, FoundDocument, find_work, has_work_done, only_numbers, read_documents
from connector.backfill.too_long import has_outgrown
from connector.backfill.versions import CountedDocument
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import AccessDenied, ClusterError, ConnectorError, first_of
from connector.ingest.rejects import RejectsFile
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)
QUEUED_GROUPS = 2
FIRST_GROUP = (
    8  # documents; each group has twice as many, up to ingest.group_documents: a job that is killed soon gets on
)
PLACE_S = 1.0  # so often it is told how far a shard was read
SKIPPED_INTERVALS = 200  # of our own writes, that a query leaves out
EXTERNAL = (
    "an application gives the version of this document (version_type=external), and an update of ours would have its "
    "next write refused; where the engine counts all versions, say --versions internal"
)
META_REPLACED = (
    "somebody replaced the mapping's _meta while the job ran, and with it the note of what was added; it was put back. "
    "Have them keep connector_backfill in it: without it the index is searched by its lexical leg alone"
)


@dataclass(frozen=True, slots=True)
class ShardRange:
    """What a round looks at in one shard, by sequence number: documents that lack passages, above `lacking_after`, and
    those that have some and were written above `written_after`; both up to `upto`. Of those below, the ones with these
    numbers `too`."""

    lacking_after: int
    written_after: int
    upto: int
    too: tuple[int, ...] = ()


FoundGroup = tuple[list[WorkItem], GroupUnderWay]
MadeGroup = tuple[EncodedWork, GroupUnderWay]


class BackfillRounds:
    """The rounds of one job over one index, whose mapping has our fields already.

    Once `stop` resolves, a round reads and encodes no more, and writes what is encoded."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: BackfillPlan,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        expected: int,
        rejects: Path,
        pace: WritePace,
        stop: asyncio.Future[str],
        on_progress: Callable[[BackfillCounts], None],
    ) -> None:
        self.ledger = Ledger(expected)
        cluster = patient(cluster, settings, lambda count: self.ledger.add(retried=count))
        self.cluster = cluster
        self._plan = plan
        self._encoder = encoder
        self._settings = settings
        self._on_progress = on_progress
        self._items = 0  # of the round that is under way
        self.done = DoneUpTo(plan.shards)  # of the same
        self._group_documents = min(FIRST_GROUP, settings.group_documents)
        self.index = plan.index
        self.stop = stop
        self.rejects = RejectsFile(rejects)
        self.notes: dict[str, None] = {}  # what was seen on the way, each once
        self.own = [OwnWrites() for _ in range(plan.shards)]
        self.same = SameIndex(cluster, plan.index)
        self._meta_guard = MetaGuard(cluster, plan, self.same)
        self._writer = UpdateWriter(
            cluster,
            plan,
            settings,
            ledger=self.ledger,
            own=self.own,
            pace=pace,
            rejects=self.rejects,
            check=self._meta_guard.check,
        )

    @property
    def reasons(self) -> dict[str, int]:
        """Why documents were refused, in the engine's words, and how often."""
        return self._writer.reasons

    async def run(self, ranges: Sequence[ShardRange]) -> int:
        """One round; how many documents needed a second look. Raises ConnectorError."""
        self._items, self.done, failed = 0, DoneUpTo(self._plan.shards), None
        self._plan = await with_others_now(self.cluster, self._plan)
        found: asyncio.Queue[FoundGroup | None] = asyncio.Queue(QUEUED_GROUPS)
        encoded: asyncio.Queue[MadeGroup | None] = asyncio.Queue(QUEUED_GROUPS)
        try:
            async with asyncio.TaskGroup() as stages:
                stages.create_task(self._read(ranges, found))
                stages.create_task(self._encode(found, encoded))
                for _ in range(self._settings.writers):
                    stages.create_task(self._write(encoded))
        except* ConnectorError as errors:
            failed = first_of(errors)
        if failed:
            raise failed
        return self._items

    async def keep_meta(self) -> None:
        """Put our part into the mapping's `_meta` again where somebody replaced the whole of it meanwhile. Raises
        VectorsTakenOut."""
        if await self._meta_guard.restore():
            log.warning("%s", META_REPLACED)
            self.notes[META_REPLACED] = None

    @property
    def _stopping(self) -> bool:
        return self.stop.done()

    async def _read(self, ranges: Sequence[ShardRange], found: asyncio.Queue[FoundGroup | None]) -> None:
        group: list[WorkItem] = []
        places: dict[int, int] = {}
        size, put_at = 0, time.monotonic()

        async def put() -> None:
            nonlocal group, places, size, put_at
            under_way = self.done.begin(places)
            if group:
                await found.put((group, under_way))
                self._group_documents = min(2 * self._group_documents, self._settings.group_documents)
            else:
                self.done.end(under_way)
                self._on_progress(self.ledger.counts)
            group, places, size, put_at = [], {}, 0, time.monotonic()

        async for item in self._find(ranges):
            if self._stopping:
                break
            if isinstance(item, ReadUpTo):
                places[item.shard] = item.number
                if not group or time.monotonic() - put_at >= PLACE_S:
                    await put()
                continue
            if self.ledger.was_refused(item.document):
                continue
            if self._plan.added.versions_checked and is_external(item.document):
                self._writer.refuse(item.document, EXTERNAL)
                continue
            self._items += 1
            group.append(item)
            size += sum(map(len, item.document.texts.values()))
            if len(group) >= self._group_documents or size >= self._settings.group_bytes:
                await put()
        if not self._stopping:
            await put()
        await found.put(None)

    async def _encode(self, found: asyncio.Queue[FoundGroup | None], encoded: asyncio.Queue[MadeGroup | None]) -> None:
        while read := await found.get():
            group, under_way = read
            if self._stopping:
                continue
            made = await asyncio.to_thread(encode_group, self._plan, group, self._encoder, lambda: self._stopping)
            for document in made.unchanged:
                self._settle_done(document)
            for document in made.failed:
                self._writer.refuse(document, NO_NUMBER)
            await encoded.put((made, under_way))
        for _ in range(self._settings.writers):
            await encoded.put(None)

    async def _write(self, encoded: asyncio.Queue[MadeGroup | None]) -> None:
        while made := await encoded.get():
            group, under_way = made
            await self._writer.write(group.updates)
            await self._writer.refuse_too_long(self._plan, group.too_long)
            if group.is_whole:
                self.done.end(under_way)
            self._on_progress(self.ledger.counts)

    async def _find(self, ranges: Sequence[ShardRange]) -> AsyncIterator[WorkItem | ReadUpTo]:
        """What needs work: documents without passages; and of those that have passages and were written since the last
        look, the ones whose text is another now. In between, the places up to which a shard was read for both.

        All that is written meanwhile gets a number above the range, so that what is in it becomes fewer and no other:
        what is read first for one and then for the other misses none."""
        for number, bounds in enumerate(ranges):
            if bounds.upto == NONE_YET:
                continue  # an empty shard, or another job's
            work = partial(find_work, self.cluster, self._plan, number, upto=bounds.upto)
            async for document in work(after=bounds.lacking_after):
                yield WorkItem(document, has_passages=False)
            if bounds.too:
                async for document in work(upto=bounds.lacking_after, only=bounds.too):
                    yield WorkItem(document, has_passages=False)
            own = self.own[number]
            query = has_work_done(self._plan, own.longest(SKIPPED_INTERVALS))
            done = partial(read_documents, self.cluster, self._plan, number, upto=bounds.upto)
            async for item in self._changed(done(query, after=bounds.written_after), own):
                yield item
            yield ReadUpTo(number, bounds.upto)
            if bounds.too:
                query = only_numbers(has_work_done(self._plan), bounds.too)
                async for item in self._changed(done(query, upto=bounds.written_after), own):
                    if isinstance(item, WorkItem):
                        yield item

    async def _changed(self, found: AsyncIterator[FoundDocument], own: OwnWrites) -> AsyncIterator[WorkItem | ReadUpTo]:
        """Those of the documents whose passages are of another text, or too many by now; and now and then how far they
        were read."""
        told_at, last = time.monotonic(), None
        async for document in found:
            if last and time.monotonic() - told_at >= PLACE_S:
                yield ReadUpTo(last.shard, last.seq_no)
                told_at = time.monotonic()
            last = document
            if document.seq_no in own:
                continue
            if is_of_its_text(self._plan, document) and not has_outgrown(self._plan, document):
                self._settle_done(document)
            else:
                yield WorkItem(document, has_passages=True)

    def _settle_done(self, document: FoundDocument) -> None:
        """Count a document that is right as it is."""
        empty = document.marker == self._plan.added.without_text
        self.ledger.settle(document, "without_text" if empty else "unchanged")
        counts = self.ledger.counts
        if counts.found % self._settings.group_documents == 0:
            self._on_progress(counts)


def is_external(document: FoundDocument) -> bool:
    """Whether no engine counts the version of the document so; the probe saw a sample alone."""
    return CountedDocument(document.version, document.seq_no).is_external


async def refresh(cluster: RestCluster, index: str) -> bool:
    """Let searches see what was written. False without the privilege: then they see it somewhat later."""
    path = index_path(index, "_refresh")
    try:
        await cluster.client.request("POST", path, timeout_s=ADMIN_TIMEOUT_S)
    except AccessDenied:
        return False
    return True


async def run_to_end(
    rounds: BackfillRounds, take_rounds: Callable[[], Awaitable[None]], *, grace_s: float
) -> BackfillReport:
    """Take the rounds until they end, or until the job is stopped or the cluster stays unavailable, and report.

    Once `rounds.stop` resolves, what is under way has `grace_s` left. Raises AccessDenied where the credentials may not
    begin."""
    started = time.monotonic()
    stopped: str | None = None
    try:
        try:
            await rounds.same.remember()
            await _until_stopped(take_rounds, rounds.stop, grace_s)
        except ConnectorError as error:
            first = await rounds.same.explain(error)
            if isinstance(first, AccessDenied) and not rounds.ledger.counts.written:
                raise first from error
            stopped = str(first)
        if rounds.stop.done() and stopped is None:
            stopped = rounds.stop.result()
        with contextlib.suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(grace_s):
                await refresh(rounds.cluster, rounds.index)
        counts = rounds.ledger.counts
    finally:
        rounds.ledger.close()
    return BackfillReport(
        rounds.index,
        counts,
        time.monotonic() - started,
        rounds.rejects.written(),
        stopped,
        reasons=dict(rounds.reasons),
        notes=tuple(rounds.notes),
    )


async def _until_stopped(take_rounds: Callable[[], Awaitable[None]], stop: asyncio.Future[str], grace_s: float) -> None:
    taking = asyncio.ensure_future(take_rounds())
    try:
        either: list[asyncio.Future[Any]] = [taking, stop]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            await asyncio.wait([taking], timeout=grace_s)
    finally:
        taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking
