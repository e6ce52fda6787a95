"""Takes everything of ours out of an index again: from every document, and from `_meta`.

A partial update cannot remove a field, it can only null it. So a document is written anew as a whole, without our
fields, on the condition that nobody wrote it since it was read. That is done only where a search gives back all that
the application stored. Elsewhere our fields are nulled: nothing of them is indexed then, and two nulls stay."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from connector.backfill.fields import put_meta, read_index_mapping, take_meta_out
from connector.backfill.other_nested import NO_OTHERS, OtherNested, read_others
from connector.backfill.pace.patience import patient
from connector.backfill.pace.sending import PacedSender, blocked_reason
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import count_reasons
from connector.backfill.same_index import SameIndex
from connector.backfill.scan import Shard, count_shards, read_shard
from connector.backfilled import OTHERS_KEY, AddedNames, Backfilled, read_added_names, with_leaving
from connector.clusters.indices.foreign import read_mapping
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.clusters.writing.restored_vectors import STAYS, most_nested
from connector.errors import AccessDenied, ConnectorError, IndexBlocked, SettingsError
from connector.settings.sections import IngestSettings

JSON = dict[str, Any]
MOST_ROUNDS = 8
HIDES_VECTORS = (9, 2)  # the version of Elasticsearch from which on `_source` has no vectors unless it is asked for
GREATEST_WHOLE = 2**63  # whole numbers above it are read as floats
ASKS_A_MODEL = "semantic_text"  # a document written as a whole would be sent to its model again


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What is to be taken out of one index; `why_null` says why documents cannot be written anew, "" where they can."""

    index: str
    shards: int
    names: AddedNames
    documents: int
    why_null: str = ""
    is_other: bool = False  # what stands beside the back-fill that searches use is taken out, and no more
    most_nested: int | None = None  # nested objects of a document whose vectors the engine shows rightly
    others: OtherNested = NO_OTHERS  # that count in that


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What was taken out: documents written `anew` without our fields, or with them `nulled`; `refused` by the engine,
    and `contested`, which an application wrote at each try. `stopped` says why it ended early."""

    index: str
    anew: int
    nulled: int
    refused: int
    contested: int
    seconds: float
    stopped: str | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    meta_is_out: bool = False

    @property
    def ok(self) -> bool:
        return self.meta_is_out


async def plan_undo(
    cluster: RestCluster, index: str, field_name: str | None, other: Backfilled | None = None
) -> UndoPlan:
    """What a back-fill put into an index, or only what stands beside it. Raises SettingsError where there is nothing
    of one."""
    mapping = await read_index_mapping(cluster, index)
    meta = mapping.get("_meta", {})
    added = other.names if other else read_added_names(meta)
    if not other and meta.get(OTHERS_KEY):
        raise SettingsError(
            f"index {index!r} has vectors of two encoders; take out those that searches do not use first: connector "
            f"migrate {index} --clean"
        )
    names = added or AddedNames(field_name or AddedNames().passages)
    if not added and not field_name:
        raise SettingsError(
            f"index {index!r} says of no back-fill in its _meta, so there is nothing to take out; where somebody wrote "
            "over _meta, name our field: --field NAME"
        )
    if not added and not _looks_like_ours(mapping, names):
        raise SettingsError(
            f"index {index!r} has no field {field_name!r} of ours, which is nested, holds ordinal and text, and stands "
            f"beside a keyword {names.marker!r}; name the one that was filled: --field NAME"
        )
    query = {"query": has_ours(names)}
    found = await cluster.client.request("POST", index_path(index, "_count"), body=query, timeout_s=cluster.timeout_s)
    most = await _read_most_nested(cluster, index)
    return UndoPlan(
        index=index,
        shards=await count_shards(cluster, index),
        names=names,
        documents=int(found["count"]),
        why_null=await _why_null(cluster, index, mapping),
        is_other=other is not None,
        most_nested=most,
        others=NO_OTHERS if most is None else read_others(mapping, names),
    )


def describe_undo(plan: UndoPlan) -> list[str]:
    """What is about to be changed, in sentences for whoever decides."""
    how = f"its two fields of ours are set to null, since {plan.why_null}" if plan.why_null else "it loses both fields"
    return [
        f"index {plan.index}: {plan.names.passages!r} and {plan.names.marker!r} are taken out of "
        f"{plan.documents:,} documents, and our note out of _meta:",
        "- a connector follow that runs fills them no more, and ends where it follows nothing else",
        f"- each document is written once more, on the condition that nobody wrote it meanwhile: {how}",
        "- the fields stay in the mapping, without values, since no engine takes a field back; reindexing into an "
        "index with a mapping of its own leaves them behind",
    ]


def has_ours(names: AddedNames) -> JSON:
    """The query for documents that hold anything of ours."""
    nested = {"nested": {"path": names.passages, "query": {"match_all": {}}, "ignore_unmapped": True}}
    return {"bool": {"should": [{"exists": {"field": names.marker}}, nested], "minimum_should_match": 1}}


class UndoJob:
    """One run over one index. Once `stop` resolves, to the reason, it reads no more, and the next run goes on."""

    def __init__(
        self,
        cluster: RestCluster,
        plan: UndoPlan,
        settings: IngestSettings,
        *,
        stop: asyncio.Future[str] | None = None,
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        cluster = patient(cluster, settings, lambda count: None)
        self._cluster = cluster
        self._plan = plan
        self._group = settings.group_documents
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._on_progress = on_progress
        self._counts: Counter[str] = Counter()
        self._reasons: dict[str, int] = {}
        self._refused: set[tuple[str, int]] = set()
        self._same = SameIndex(cluster, plan.index)
        self._sender = PacedSender(cluster, plan.index, settings, WritePace(), check=self._same.check)

    async def run(self) -> UndoReport:
        """Until nothing of ours is left, or something cannot be taken out; `_meta` last, so that a run that ended early
        is simply run again."""
        started = time.monotonic()
        stopped, is_out = None, False
        try:
            await self._same.remember()
            leaving = partial(with_leaving, name=self._plan.names.passages)
            await put_meta(self._cluster, self._plan.index, leaving)  # whoever fills them ends by that
            for _ in range(MOST_ROUNDS):
                await self._refresh()
                if not await self._run_round() or self._stop.done():
                    break
            if not self._stop.done() and not self._counts["refused"] + self._counts["contested"]:
                other = self._plan.names.passages if self._plan.is_other else ""
                await take_meta_out(self._cluster, self._plan.index, other)
                is_out = True
                await self._refresh()
                await self._run_round()  # what a follower was writing just then
        except ConnectorError as error:
            if isinstance(error, AccessDenied) and not self._done:
                raise
            stopped = str(error)
        counts = self._counts
        return UndoReport(
            self._plan.index,
            counts["anew"],
            counts["nulled"],
            counts["refused"],
            counts["contested"],
            time.monotonic() - started,
            stopped or (self._stop.result() if self._stop.done() and not is_out else None),
            reasons=dict(self._reasons),
            meta_is_out=is_out,
        )

    @property
    def _done(self) -> int:
        return self._counts["anew"] + self._counts["nulled"]

    async def _run_round(self) -> int:
        """How many documents were found that hold something of ours."""
        found = 0
        self._counts["contested"] = 0
        async for hits in self._pages():
            if self._stop.done():
                return found
            new = [hit for hit in hits if (hit["_id"], hit["_seq_no"]) not in self._refused]
            for start in range(0, len(new), self._group):
                await self._write(new[start : start + self._group])
            found += len(new)
        return found

    async def _pages(self) -> AsyncIterator[list[JSON]]:
        asked = {"_source": self._asked_source()}
        for number in range(self._plan.shards):
            shard = Shard(self._plan.index, number, self._plan.shards)
            async with contextlib.aclosing(
                read_shard(self._cluster, shard, has_ours(self._plan.names), asked)
            ) as pages:
                async for hits in pages:
                    yield hits

    def _asked_source(self) -> Any:
        """What a search brings along: all that the application stored, its own vectors too."""
        plan, names = self._plan, self._plan.names
        if plan.why_null:
            return plan.others.asked(names) or False
        ours = (names.text, names.vector) if plan.others.any else (names.passages,)  # as objects they are counted
        asked: JSON = {"excludes": [*ours, names.marker]}
        return asked | ({"exclude_vectors": False} if hides_vectors(self._cluster) else {})

    async def _write(self, hits: Sequence[JSON]) -> None:
        found = [(hit, find_taken_out(hit, self._plan)) for hit in hits]
        for hit, names in found:
            if not names:
                self._refuse(hit, STAYS)
        removed = [(hit, build_removal_of_ours(hit, self._plan, names)) for hit, names in found if names]
        outcomes = await self._sender.send([action for _, (action, _) in removed]) if removed else []
        for (hit, (_, kind)), outcome in zip(removed, outcomes, strict=True):
            match outcome.kind:
                case "written" | "unchanged":
                    self._counts[kind] += 1
                case "conflict":
                    self._counts["contested"] += 1
                case "refused":
                    self._refuse(hit, outcome.reason)
        self._on_progress(self._done)
        if reason := blocked_reason(outcomes):
            raise IndexBlocked(reason)

    def _refuse(self, hit: JSON, reason: str) -> None:
        self._counts["refused"] += 1
        count_reasons(self._reasons, [reason])
        self._refused.add((hit["_id"], hit["_seq_no"]))

    async def _refresh(self) -> None:
        with contextlib.suppress(AccessDenied):
            path = index_path(self._plan.index, "_refresh")
            await self._cluster.client.request("POST", path, timeout_s=ADMIN_TIMEOUT_S)


def hides_vectors(cluster: RestCluster) -> bool:
    """Whether the engine leaves vectors out of `_source` unless it is asked for them."""
    major, minor = (int(part) for part in [*cluster.engine.version.split("."), "0"][:2])
    return cluster.engine.kind == "elasticsearch" and (major, minor) >= HIDES_VECTORS


def find_taken_out(hit: JSON, plan: UndoPlan) -> tuple[AddedNames, ...]:
    """Whose passages go from a document; nobody's where a write of ours would harm vectors of its own."""
    source = hit.get("_source", {})
    nested = plan.others.count(source) + plan.others.count_own(source, plan.names)
    return plan.others.taken_out(plan.names, misread=plan.most_nested is not None and nested > plan.most_nested)


def build_removal_of_ours(hit: JSON, plan: UndoPlan, taken_out: Sequence[AddedNames]) -> tuple[bytes, str]:
    """The two lines that take fields of ours out of a document that nobody wrote since, and whether they write it
    `anew` or leave it `nulled`."""
    ours = [field for names in taken_out for field in (names.passages, names.marker)]
    condition: JSON = {
        "_index": hit["_index"],
        "_id": hit["_id"],
        "if_seq_no": hit["_seq_no"],
        "if_primary_term": hit["_primary_term"],
    } | ({"routing": hit["_routing"]} if "_routing" in hit else {})
    if plan.why_null or _was_rounded(hit["_source"]):
        body: JSON = {"doc": dict.fromkeys(ours), "detect_noop": False}
        return b"%b\n%b\n" % (orjson.dumps({"update": condition}), orjson.dumps(body)), "nulled"
    action = {"index": condition | {"pipeline": "_none"}}  # what it did to the document it has done already
    theirs = {name: value for name, value in hit["_source"].items() if name not in ours}
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps(theirs)), "anew"


def _was_rounded(value: Any) -> bool:
    """Whether a number in it may have been read less exactly than it was written."""
    if isinstance(value, dict):
        return any(map(_was_rounded, value.values()))
    if isinstance(value, list):
        return any(map(_was_rounded, value))
    return isinstance(value, float) and abs(value) >= GREATEST_WHOLE


async def _why_null(cluster: RestCluster, index: str, mapping: JSON) -> str:
    """Why a document cannot be written anew from what a search gives back; empty where it can."""
    if mapping.get("_source"):
        return "its mapping has settings of _source, so that a search may not give back the whole document"
    if any(found.type == ASKS_A_MODEL for found in read_mapping([mapping]).fields.values()):
        return f"it has fields of type {ASKS_A_MODEL}, whose model would be asked again for each document"
    params = {"flat_settings": "true"}
    path = index_path(index, "_settings/index.final_pipeline")
    reply = await cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
    pipeline = reply.get(index, {}).get("settings", {}).get("index.final_pipeline", "_none")
    return "" if pipeline == "_none" else f"its final_pipeline {pipeline!r} would run over each document once more"


async def _read_most_nested(cluster: RestCluster, index: str) -> int | None:
    if most_nested(cluster.engine, {}) is None:
        return None
    params = {"flat_settings": "true", "include_defaults": "true"}
    path = index_path(index, "_settings/index.knn.derived_source.enabled")
    reply = await cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
    found = reply.get(index, {})
    return most_nested(cluster.engine, found.get("defaults", {}) | found.get("settings", {}))


def _looks_like_ours(mapping: JSON, names: AddedNames) -> bool:
    properties = mapping.get("properties", {})
    inner = properties.get(names.passages, {}).get("properties", {})
    marker: JSON = properties.get(names.marker, {})
    return {"ordinal", "text"} <= inner.keys() and str(marker.get("type")) == "keyword"
