"""The new index takes the place of the old one in one call, and no write of an application is lost by it.

Under an alias nothing need be blocked: writes that reached the old index after the last look are brought after the
call, unless the application has written the same document to the new one by then. Where the new index takes the old
one's own name, the old one goes in the same call, and with it whatever was written since the last look; so writes to it
are blocked for the moment of the last look and the call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.backfill.fields import read_index_mapping
from connector.backfill.into.copies import (
    DocumentKey,
    Original,
    build_copy,
    build_delete,
    find_gone_among,
    key_of,
    read_shard_ids,
    unless_written_since,
)
from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import INTO_META, IntoPlan
from connector.backfill.keeping_up.checkpoints import read_checkpoints
from connector.backfill.scan import FoundDocument, count_shards
from connector.backfill.write import UpdateOutcome
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import ClusterError, SettingsError

JSON = dict[str, Any]
QUIET_ROUNDS = 2  # looks at the old index that find nothing, after which no write is on its way to it any more
LATE_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """What the switch did. `blocked_s`: for how long writes were blocked; 0 where they were not. `late`: documents
    written to, or deleted from, the old index at the last moment, which were brought afterwards; `newer`: of those, the
    ones that the application had written to the new index by then, which stayed."""

    blocked_s: float = 0.0
    late: int = 0
    newer: int = 0
    failed: int = 0


def check_switch(plan: IntoPlan, *, block_writes: bool) -> None:
    """Refuse a switch in which writes could be lost. Raises SettingsError."""
    if plan.takes_name and not block_writes:
        raise SettingsError(
            f"{plan.name!r} is the index's own name. {plan.new!r} can take it only while the old index goes, and what "
            "is written in that moment would go with it; block writes for that moment with --block-writes, or let "
            "applications use an alias, which needs no block"
        )


def build_alias_actions(plan: IntoPlan) -> JSON:
    """The body of `POST /_aliases`: every alias goes over with its filter and routing."""
    added: list[JSON] = [
        {"add": {"index": plan.new, "alias": alias, **options}} for alias, options in plan.aliases.items()
    ]
    if plan.takes_name:
        own = {"add": {"index": plan.new, "alias": plan.old}}
        return {"actions": [{"remove_index": {"index": plan.old}}, own, *added]}
    removed: list[JSON] = [
        {"remove": {"index": plan.old, "alias": alias, "must_exist": True}} for alias in plan.aliases
    ]
    return {"actions": [*removed, *added]}


async def switch(cluster: RestCluster, plan: IntoPlan, job: IntoJob, *, block_writes: bool) -> SwitchReport:
    """Let the new index take the old one's place. Raises SettingsError, and ClusterError where it did not come to
    that; then the old index is as it was."""
    check_switch(plan, block_writes=block_writes)
    if plan.later:
        await _put_settings(cluster, plan.new, dict(plan.later))
    report = await (_switch_blocked if block_writes else _switch_open)(cluster, plan, job)
    mapping = await read_index_mapping(cluster, plan.new)
    meta = {key: value for key, value in mapping["_meta"].items() if key != INTO_META}
    await _request(cluster, "PUT", index_path(plan.new, "_mapping"), {"_meta": meta})
    return report


async def _switch_blocked(cluster: RestCluster, plan: IntoPlan, job: IntoJob) -> SwitchReport:
    started = time.monotonic()
    await _request(cluster, "PUT", index_path(plan.old, "_block/write"))  # waits for writes that are under way
    switched = False
    try:
        await job.copy_round()
        if not await job.remove_gone() or job.has_failed:
            raise ClusterError(
                f"{plan.new!r} has not all that {plan.old!r} has, so it did not take its place, and writes are allowed "
                "again; run this again"
            )
        await _request(cluster, "POST", "/_aliases", build_alias_actions(plan))
        switched = True
    finally:
        if not (switched and plan.takes_name):
            await _put_settings(cluster, plan.old, {"index.blocks.write": None})
    return SwitchReport(blocked_s=time.monotonic() - started)


async def _switch_open(cluster: RestCluster, plan: IntoPlan, job: IntoJob) -> SwitchReport:
    for _ in range(QUIET_ROUNDS):  # so that hardly anything is left for afterwards
        await job.copy_round()
    now = await read_checkpoints(cluster, plan.new, await count_shards(cluster, plan.new))
    last = [shard.newest for shard in now.shards]  # all of them are numbers of our own writes
    await _request(cluster, "POST", "/_aliases", build_alias_actions(plan))
    late = _LateWrites(cluster, plan, job, last)
    await late.bring()
    return SwitchReport(late=late.brought, newer=late.newer, failed=late.failed)


class _LateWrites:
    """What reached the old index after the last look before the switch."""

    def __init__(self, cluster: RestCluster, plan: IntoPlan, job: IntoJob, last: Sequence[int]) -> None:
        self._cluster, self._plan, self._job, self._last = cluster, plan, job, last
        self._own: dict[DocumentKey, int] = {}  # our writes since the switch
        self.brought = self.newer = self.failed = 0

    async def bring(self) -> None:
        """Bring all of it, until nothing more comes; then what was deleted."""
        quiet = 0
        for _ in range(LATE_ROUNDS):
            originals = await self._job.changed_since()
            quiet = 0 if originals else quiet + 1
            if originals:
                await self._copy(originals)
            if quiet == QUIET_ROUNDS:
                break
        await self._remove_gone()

    async def _copy(self, originals: Sequence[Original]) -> None:
        of = {key_of(original.document): original for original in originals}
        ours, newer = await self._find([original.document.doc_id for original in originals])
        self.newer += len(newer & of.keys())
        late = [original for key, original in of.items() if key not in newer]
        work = await self._job.encode(late)
        keys = [key_of(update.document) for update in work.updates]
        actions = []
        for key, update in zip(keys, work.updates, strict=True):
            copied = ours.get(key)
            condition = unless_written_since(copied) if copied else {"op_type": "create"}
            actions.append(build_copy(self._plan, of[key], update, condition, self._job.form))
        self.failed += len(work.failed) + sum(original.is_misread for original in late)
        self._settle(keys, await self._job.send(actions))

    async def _remove_gone(self) -> None:
        """Take out what the old index has no longer, unless the application wrote it to the new one."""
        for number, last in enumerate(self._last):
            async for copied in read_shard_ids(self._cluster, self._plan, number, upto=last):
                await self._remove(await find_gone_among(self._cluster, self._plan, copied))
        if self._own:
            ours, _ = await self._find([doc_id for doc_id, _ in self._own])
            late = [document for key, document in ours.items() if key in self._own]
            await self._remove(await find_gone_among(self._cluster, self._plan, late))

    async def _remove(self, gone: Sequence[FoundDocument]) -> None:
        sent = await self._job.send([build_delete(document) for document in gone])
        self._settle([key_of(document) for document in gone], sent)

    def _settle(self, keys: Sequence[DocumentKey], outcomes: Sequence[UpdateOutcome]) -> None:
        for key, outcome in zip(keys, outcomes, strict=True):
            if outcome.kind == "written":
                self.brought += 1
                self._own[key] = outcome.seq_no if outcome.seq_no is not None else -1
            elif outcome.kind == "conflict":
                self.newer += 1
            else:
                self.failed += 1

    async def _find(self, doc_ids: Sequence[str]) -> tuple[dict[DocumentKey, FoundDocument], set[DocumentKey]]:
        """The copies of those documents that are as we wrote them, and those that the application wrote since."""
        await _request(self._cluster, "POST", index_path(self._plan.new, "_refresh"))
        query = {"ids": {"values": list(dict.fromkeys(doc_ids))}}
        ours: dict[DocumentKey, FoundDocument] = {}
        newer: set[DocumentKey] = set()
        for number, last in enumerate(self._last):
            async for group in read_shard_ids(self._cluster, self._plan, number, query):
                for document in group:
                    if document.seq_no <= last or self._own.get(key_of(document)) == document.seq_no:
                        ours[key_of(document)] = document
                    else:
                        newer.add(key_of(document))
        return ours, newer


async def _put_settings(cluster: RestCluster, index: str, settings: JSON) -> None:
    await _request(cluster, "PUT", index_path(index, "_settings"), settings)


async def _request(cluster: RestCluster, method: str, path: str, body: JSON | None = None) -> JSON:
    return await cluster.client.request(method, path, body=body, timeout_s=ADMIN_TIMEOUT_S)
