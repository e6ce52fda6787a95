"""Copies an index with passages and vectors into a new one, while applications go on to write to the old.

Round after round what was written since the last is copied: from each shard's checkpoint to the next, which misses
nothing. Deletes leave no trace, so where the counts differ the ids are compared. A copy has the version of its
original, so that an application which gives versions of its own goes on with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from connector.backfill.encoding import NO_NUMBER, NO_VECTORS, EncodedWork, WorkItem, encode_group
from connector.backfill.into.copies import (
    Copied,
    DocumentKey,
    Original,
    ask_whole,
    build_copy,
    build_delete,
    find_gone,
    is_same,
    key_of,
    read_copies,
    read_original,
    same_version,
)
from connector.backfill.into.plan import IntoPlan, with_nested_now
from connector.backfill.keeping_up.checkpoints import IndexCheckpoints, read_checkpoints
from connector.backfill.own_index import OwnIndexSender
from connector.backfill.pace.patience import while_unavailable
from connector.backfill.pace.sending import blocked_reason
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import count_reasons
from connector.backfill.scan import ANY, NONE_YET, Shard, read_shard
from connector.backfill.write import PassageUpdate, UpdateOutcome
from connector.clusters.indices.vector_choices import choose
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.clusters.vector_form import vector_form
from connector.clusters.writing.restored_vectors import MISREAD, TOO_LONG
from connector.errors import ClusterError, ConnectorError, IndexBlocked, first_of
from connector.ingest.counts import added
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings

JSON = dict[str, Any]
GROUP = 200  # documents that are encoded and written together
ROUNDS = 8
CAUGHT_UP = 100  # documents that changed during a round, up to which the next would bring hardly more
QUEUED_GROUPS = 2


@dataclass(frozen=True, slots=True)
class IntoCounts:
    """What became of the documents: `copied`, `unchanged` since an earlier run, `removed` from the new index since the
    old one has them no longer, `failed`. Each document that was read in a round counts once in it."""

    read: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    passages: int = 0
    without_text: int = 0
    rounds: int = 0
    total: int = 0  # of the old index, when the job began

    @property
    def done(self) -> int:
        return self.copied + self.unchanged + self.failed

    @property
    def progress(self) -> float:
        """The share of the old index that was looked at; 1 while what changed meanwhile is brought."""
        return min(self.done / self.total, 1.0) if self.total else 1.0


@dataclass(frozen=True, slots=True)
class IntoReport:
    """What the job did, the reasons why documents failed, and why it ended early. `same`: the new index has as many
    documents as the old one."""

    counts: IntoCounts
    took_s: float
    same: bool
    reasons: Mapping[str, int] = field(default_factory=dict)
    stopped: str | None = None


class IntoJob:
    """Fills the new index. Once `stop` resolves, to the reason, nothing more is read or encoded."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: IntoPlan,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        pace: WritePace | None = None,
        stop: asyncio.Future[str] | None = None,
        on_progress: Callable[[IntoCounts], None] = lambda counts: None,
    ) -> None:
        self.plan = plan
        self._cluster, self._encoder, self._settings = cluster, encoder, settings
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._sender = OwnIndexSender(cluster, plan.new, settings, pace or WritePace())
        self._on_progress = on_progress
        self._counts = IntoCounts()
        self._retry = while_unavailable(settings)
        self._reasons: dict[str, int] = {}
        self._upto = [NONE_YET] * plan.fill.shards
        self._history: list[str] | None = None
        self._compares = plan.exists  # what an earlier run has copied
        self._asked = ask_whole(plan)
        choice = choose(cluster.engine, plan.fill.vectors, plan.fill.added.encoder.dims)
        self.form = vector_form(cluster.engine, choice.element)

    async def run(self) -> IntoReport:
        """Rounds until hardly anything changes during one. Raises ConnectorError where the first cannot begin."""
        started, stopped, same = time.monotonic(), None, False
        failed: BaseException | None = None
        self._count(total=await self._cluster.count(self.plan.old))
        try:
            for _ in range(ROUNDS):
                if await self.copy_round() <= CAUGHT_UP or self._stop.done():
                    break
            same = not self._stop.done() and await self.remove_gone()
        except* ConnectorError as errors:
            failed = first_of(errors)
        if failed:
            failed = await self._sender.place.explain(failed)
            if not self._counts.read:
                raise failed
            stopped = str(failed)
        if self._stop.done():
            stopped = stopped or self._stop.result()
        return IntoReport(self._counts, time.monotonic() - started, same, dict(self._reasons), stopped)

    def report_again(self, before: IntoReport) -> IntoReport:
        """The report with what was done since."""
        return replace(before, counts=self._counts, reasons=dict(self._reasons))

    @property
    def has_failed(self) -> bool:
        """Whether the new index lacks a document that could not be copied."""
        return bool(self._counts.failed)

    async def copy_round(self) -> int:
        """Copy what was written since the last round; how many documents that were."""
        await self._retry.run(self._sender.begin)
        upto, before = await self._checkpoints(), self._counts.read
        found: asyncio.Queue[list[Original] | None] = asyncio.Queue(QUEUED_GROUPS)
        encoded: asyncio.Queue[tuple[list[Original], EncodedWork] | None] = asyncio.Queue(QUEUED_GROUPS)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._read(upto, found))
            stages.create_task(self._encode(found, encoded))
            stages.create_task(self._write(encoded))
        if not self._stop.done():
            self._upto, self._compares = [*upto], False
        self._count(rounds=1)
        return self._counts.read - before

    async def remove_gone(self) -> bool:
        """Take out of the new index what the old one has no longer; whether both have as many documents then."""
        if await self._counts_differ():
            async for gone in find_gone(self._cluster, self.plan):
                outcomes = await self.send([build_delete(document) for document in gone])
                self._count(removed=sum(outcome.kind == "written" for outcome in outcomes))
        return not await self._counts_differ()

    async def changed_since(self) -> list[Original]:
        """What was written to the old index since the last round; the next time what was written after that."""
        upto = await self._checkpoints()
        originals = [original async for group in self._groups(upto) for original in group]
        self._upto = [*upto]
        return originals

    async def encode(self, originals: Sequence[Original]) -> EncodedWork:
        """Their passages and vectors; fewer where the job is to stop. One that is too long has none, and is copied; one
        that was misread is not."""
        items = [WorkItem(original.document, has_passages=False) for original in originals if not original.is_misread]
        work = await asyncio.to_thread(encode_group, self.plan.fill, items, self._encoder, self._stop.done)
        bare = [PassageUpdate(document, (), NO_VECTORS, marker="") for document in work.too_long]
        return replace(work, updates=[*work.updates, *bare])

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """What became of each action. Raises ClusterUnavailable, also where the new index takes no writes."""
        outcomes = await self._sender.send(actions)
        if reason := blocked_reason(outcomes):
            raise IndexBlocked(reason)
        return outcomes

    async def end(self) -> None:
        """Take out of the new index what only this job needs there."""
        await self._sender.place.end()

    async def _read(self, upto: Sequence[int], found: asyncio.Queue[list[Original] | None]) -> None:
        if self._compares:
            await self._refresh(self.plan.new)
        async with aclosing(self._groups(upto)) as groups:
            async for group in groups:
                if self._stop.done():
                    break
                self._count(read=len(group))
                different = await self._different(group) if self._compares else group
                if different:
                    await found.put(different)
        await found.put(None)

    async def _different(self, group: Sequence[Original]) -> list[Original]:
        """Those that an earlier run has not copied as they are now."""
        known: dict[DocumentKey, Copied] = await self._retry.run(partial(read_copies, self._cluster, self.plan, group))
        different = [
            original for original in group if not is_same(self.plan, original, known.get(key_of(original.document)))
        ]
        self._count(unchanged=len(group) - len(different))
        return different

    async def _groups(self, upto: Sequence[int]) -> AsyncGenerator[list[Original], None]:
        """Groups of what was written between the last checkpoints and these, of all shards one after the other."""
        of = self.plan.fill.shards
        for number in range(of):
            place, after = Shard(self.plan.old, number, of), self._upto[number]
            pages = read_shard(self._cluster, place, ANY, self._asked, after=after, upto=upto[number])
            async with aclosing(pages):
                async for hits in pages:
                    for start in range(0, len(hits), GROUP):
                        yield [read_original(hit, self.plan) for hit in hits[start : start + GROUP]]

    async def _encode(
        self,
        found: asyncio.Queue[list[Original] | None],
        encoded: asyncio.Queue[tuple[list[Original], EncodedWork] | None],
    ) -> None:
        while group := await found.get():
            if not self._stop.done():
                await encoded.put((group, await self.encode(group)))
        await encoded.put(None)

    async def _write(self, encoded: asyncio.Queue[tuple[list[Original], EncodedWork] | None]) -> None:
        while pair := await encoded.get():
            originals, work = pair
            by_key = {key_of(original.document): original for original in originals}
            updates = [(by_key[key_of(update.document)], update) for update in work.updates]
            await self._write_copies(updates)
            misread = sum(original.is_misread for original in originals)
            self._count(failed=len(work.failed) + misread)
            reasons = [NO_NUMBER] * len(work.failed) + [TOO_LONG] * len(work.too_long) + [MISREAD] * misread
            count_reasons(self._reasons, reasons)

    async def _write_copies(self, updates: Sequence[tuple[Original, PassageUpdate]]) -> None:
        plan = self.plan
        outcomes = await self.send(
            [build_copy(plan, original, made, same_version(original.document), self.form) for original, made in updates]
        )
        # deleted and made anew, a document counts its versions from the beginning, and its copy may have a higher one
        again = [at for at, outcome in enumerate(outcomes) if outcome.kind == "conflict"]
        sent = await self.send([build_copy(plan, *updates[at], {}, self.form) for at in again])
        for at, outcome in zip(again, sent, strict=True):
            outcomes[at] = outcome
        written = [made for (_, made), outcome in zip(updates, outcomes, strict=True) if outcome.kind == "written"]
        count_reasons(self._reasons, [outcome.reason for outcome in outcomes if outcome.kind != "written"])
        self._count(
            copied=len(written),
            failed=len(outcomes) - len(written),
            passages=sum(len(made.passages) for made in written),
            without_text=sum(not made.passages for made in written),
        )

    async def _checkpoints(self) -> list[int]:
        """Up to which number each shard of the old index has all its writes, which searches then see. Raises
        ClusterError where the index is not the one any more that was begun with."""
        read = partial(read_checkpoints, self._cluster, self.plan.old, self.plan.fill.shards)
        now: IndexCheckpoints = await self._retry.run(read)
        history = [now.uuid, *(shard.history for shard in now.shards)]
        if self._history not in (None, history):
            raise ClusterError(f"index {self.plan.old!r} was made anew or restored meanwhile; run this again")
        self._history = history
        self.plan = await self._retry.run(partial(with_nested_now, self._cluster, self.plan))
        await self._refresh(self.plan.old)
        return [shard.safe for shard in now.shards]

    async def _counts_differ(self) -> bool:
        for index in (self.plan.old, self.plan.new):
            await self._refresh(index)
        return await self._cluster.count(self.plan.old) != await self._cluster.count(self.plan.new)

    async def _refresh(self, index: str) -> None:
        ask = partial(self._cluster.client.request, "POST", index_path(index, "_refresh"), timeout_s=ADMIN_TIMEOUT_S)
        await self._retry.run(ask)

    def _count(self, **more: int) -> None:
        self._counts = added(self._counts, **more)
        self._on_progress(self._counts)
