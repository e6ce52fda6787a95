"""Fills an index of vectors beside somebody else's, and brings it up to date. Theirs is only read.

A pass compares every document of theirs with what ours says that it was made of, by the numbers of its last write. What
differs is read again; what has another text is cut and encoded; what theirs has no longer goes. So there is no
checkpoint that could be wrong: a job that was killed goes on where it stopped, and one that runs again brings the rest.
Passes are repeated until hardly anything changed during one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from connector.backfill.beside.documents import (
    DifferingGroup,
    EncodedDocuments,
    ReadDocument,
    build_document,
    build_touch,
)
from connector.backfill.own_index import OwnIndexSender
from connector.backfill.pace.patience import while_unavailable
from connector.backfill.pace.sending import blocked_reason
from connector.backfill.pace.throttle import WritePace
from connector.backfill.report import count_reasons
from connector.backfill.scan import ANY, NONE_YET, Shard, count_shards, read_shard
from connector.backfill.write import UpdateOutcome
from connector.clusters.beside.index import BY_VALUES, BesideIndex
from connector.clusters.beside.vectors_index import (
    copied_values,
    hash_texts,
)
from connector.clusters.dialect import DOC_ID, ask_texts
from connector.clusters.indices.vector_choices import choose
from connector.clusters.paths import index_path
from connector.clusters.reading.hits import read_doc_id, read_texts
from connector.clusters.reading.results_page import of_documents
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.clusters.vector_form import vector_form
from connector.clusters.writing.bulk import build_bulk, build_removal
from connector.clusters.writing.restored_vectors import most_nested
from connector.errors import ClusterError, ConnectorError, IndexBlocked, first_of
from connector.ingest.counts import added
from connector.ingest.encoding import NO_NUMBER, encode_in_steps
from connector.ingest.passages import cut
from connector.models.encoder import Encoder
from connector.settings.sections import IngestSettings
from connector.types import Document, IndexedDocument, Passage

JSON = dict[str, Any]
GROUP = 200  # documents that are read, encoded and written together
COMPARED = 1_000  # documents of ours that are compared with theirs at once
PASSES = 5
QUEUED_GROUPS = 2
IN_FLIGHT = 1_000
CAUGHT_UP = 100  # documents that a pass found to have changed, up to which no other pass follows it


@dataclass(frozen=True, slots=True)
class BesideCounts:
    """What became of the documents of theirs. Each that the first pass `read` counts once: `written`, of which passages
    were made; `touched`, of which only copied fields or the number of the last write were new; `unchanged`; `failed`;
    or `vanished`, deleted between two looks. What changed meanwhile is counted again by the passes that bring it.
    `removed` counts documents of ours that theirs has no longer."""

    read: int = 0
    written: int = 0
    touched: int = 0
    unchanged: int = 0
    failed: int = 0
    vanished: int = 0
    removed: int = 0
    passages: int = 0
    without_text: int = 0
    passes: int = 0
    total: int = 0  # of theirs, when the job began

    @property
    def done(self) -> int:
        return self.written + self.touched + self.unchanged + self.failed + self.vanished

    @property
    def progress(self) -> float:
        """The share of theirs that was looked at; 1 while what changed meanwhile is brought."""
        return min(self.done / self.total, 1.0) if self.total else 1.0


@dataclass(frozen=True, slots=True)
class BesideReport:
    """What the job did: the sum of its passes, the reasons why documents failed, and why it ended early."""

    counts: BesideCounts
    took_s: float
    reasons: Mapping[str, int] = field(default_factory=dict)
    stopped: str | None = None


class BesideJob:
    """One run. Once `stop` resolves, to the reason, nothing more is read or encoded, and what is encoded is written."""

    def __init__(
        self,
        cluster: RestCluster,
        index: BesideIndex,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        pace: WritePace | None = None,
        stop: asyncio.Future[str] | None = None,
        passes: int = PASSES,
        on_progress: Callable[[BesideCounts], None] = lambda counts: None,
    ) -> None:
        """`index` by its own name."""
        self._cluster, self._index, self._vectors = cluster, index, index.vectors
        self._encoder, self._settings = encoder, settings
        self._stop: asyncio.Future[str] = stop or asyncio.get_running_loop().create_future()
        self._passes = passes
        self._sender = OwnIndexSender(cluster, self._vectors.name, settings, pace or WritePace())
        self._on_progress = on_progress
        self._counts = BesideCounts()
        self._retry = while_unavailable(settings)
        self._reasons: dict[str, int] = {}
        limit = encoder.fingerprint.max_tokens
        self._max_tokens = min(self._vectors.schema.passages.max_tokens or limit, limit)
        schema = self._vectors.schema
        self._form = vector_form(cluster.engine, choose(cluster.engine, schema.vectors, schema.dims).element)
        self._most_nested = most_nested(cluster.engine, {})
        self._uuid = index.origin.uuid  # of the index that all of ours is known to be made of
        self._trusted = False
        self._seen: dict[int, int] = {}  # by shard, the highest number that a search showed, of writes that are here
        self._reached: dict[int, int] = {}  # the same of the pass that is under way

    @property
    def upto(self) -> Mapping[int, int]:
        """By shard, up to which number of theirs all that a search showed is in ours."""
        return self._seen

    @property
    def has_failed(self) -> bool:
        """Whether ours lacks a document that could not be written."""
        return bool(self._counts.failed)

    def go_on_from(self, upto: Mapping[int, int]) -> None:
        """Where an earlier run came to; nowhere, to look at everything."""
        self._seen = dict(upto)

    async def run(self) -> BesideReport:
        """Passes until hardly anything changes during one. Raises ConnectorError where the first cannot begin."""
        started, stopped = time.monotonic(), None
        self._count(total=await self._cluster.count(self._index.name))
        try:
            for number in range(self._passes):
                changed = await self.take_pass()
                if self._stop.done() or (number and changed <= CAUGHT_UP) or not changed:
                    break
        except ConnectorError as error:
            if not self._counts.read:
                raise
            stopped = str(error)
        if self._stop.done():
            stopped = stopped or self._stop.result()
        return self.report(started, stopped)

    def report(self, started: float, stopped: str | None) -> BesideReport:
        return BesideReport(self._counts, time.monotonic() - started, dict(self._reasons), stopped)

    async def take_pass(self, *, is_sweep: bool = True) -> int:
        """Compare what was written lately, or (`is_sweep`) every document of theirs and then every one of ours; how
        many differed. Raises ConnectorError: IndexGone where ours was deleted or made anew meanwhile."""
        try:
            return await self._take_pass(is_sweep)
        except ConnectorError as error:
            raise await self._sender.place.explain(error) from error

    async def _take_pass(self, is_sweep: bool) -> int:
        before, uuid = self._counts, await self._retry.run(partial(self._cluster.read_uuid, self._index.name))
        await self._retry.run(self._sender.begin)
        self._trusted = bool(uuid) and uuid == self._uuid
        is_sweep = is_sweep or not self._trusted
        self._reached = {}
        await self._retry.run(self._vectors.finish)
        failed: BaseException | None = None
        try:
            await self._run_stages(is_sweep)
        except* ConnectorError as errors:
            failed = first_of(errors)
        if failed:
            raise failed
        await self._retry.run(self._vectors.finish)
        await self._sender.place.confirm()
        if not self._stop.done():
            self._seen |= self._reached
        if is_sweep and not self._stop.done():
            await self._remove_gone()
            await self._hold_uuid(uuid)
        self._count(passes=1)
        return sum(getattr(self._counts, name) - getattr(before, name) for name in ("written", "touched", "removed"))

    async def _run_stages(self, is_sweep: bool) -> None:
        found: asyncio.Queue[DifferingGroup | None] = asyncio.Queue(QUEUED_GROUPS)
        encoded: asyncio.Queue[tuple[DifferingGroup, list[IndexedDocument]] | None] = asyncio.Queue(QUEUED_GROUPS)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._find(found, is_sweep))
            stages.create_task(self._encode(found, encoded))
            stages.create_task(self._write(encoded))

    async def _hold_uuid(self, uuid: str) -> None:
        """All that ours says of writes is of this index now. Raises ClusterError where it is another one by now."""
        if await self._retry.run(partial(self._cluster.read_uuid, self._index.name)) != uuid:
            raise ClusterError(f"index {self._index.name!r} was made anew meanwhile; run this again")
        if uuid != self._uuid:
            await put_uuid(self._cluster, self._index, uuid)
            self._uuid = uuid

    async def _find(self, found: asyncio.Queue[DifferingGroup | None], is_sweep: bool) -> None:
        """Groups of what differs, of all shards one after the other."""
        index, shards = self._index.name, await count_shards(self._cluster, self._index.name)
        for number in range(shards):
            seen = self._seen.get(number, NONE_YET)
            # writes may become visible after later ones: so many numbers are looked at twice
            after = NONE_YET if is_sweep else max(NONE_YET, seen - IN_FLIGHT)
            place = Shard(index, number, shards)
            pages = read_shard(self._cluster, place, ANY, {"_source": False}, after=after)
            async for hits in pages:
                if self._stop.done():
                    break
                self._reached[number] = max(int(hits[-1]["_seq_no"]), NONE_YET if is_sweep else seen)
                differing = await self._retry.run(partial(self._differing, hits))
                if not self._counts.passes:
                    self._count(read=len(hits), unchanged=len(hits) - len(differing))
                for start in range(0, len(differing), GROUP):
                    ids = differing[start : start + GROUP]
                    group = await self._retry.run(partial(self._read, ids))
                    await found.put(group)
            await pages.aclose()
        await found.put(None)

    async def _differing(self, hits: Sequence[JSON]) -> list[str]:
        """Those of the documents that ours lacks, or has of another write."""
        written = {read_doc_id(hit, self._index.schema): (hit["_seq_no"], hit["_primary_term"]) for hit in hits}
        known = await self._index.read_versions(list(written), timeout_s=ADMIN_TIMEOUT_S) if self._trusted else {}
        return [doc_id for doc_id, at in written.items() if (has := known.get(doc_id)) is None or has[:2] != at]

    async def _read(self, doc_ids: Sequence[str]) -> DifferingGroup:
        """These documents of theirs as they are now, those first whose text ours has not."""
        texts, copies = self._index.made_of, self._index.origin.copies
        asked = ask_texts(texts)
        asked["_source"] = [*(asked["_source"] or ()), *(copy.source for copy in copies.values())] or False
        body = of_documents(texts, doc_ids) | asked | {"seq_no_primary_term": True}
        reply = await self._index.ask(body, ADMIN_TIMEOUT_S)
        known = await self._index.read_versions(doc_ids, timeout_s=ADMIN_TIMEOUT_S)
        group = DifferingGroup([], [])
        for hit in reply["hits"]["hits"]:
            document = self._to_document(hit)
            has = known.get(document.doc_id)
            same = has is not None and has.content_hash == document.content_hash
            (group.touched if same else group.changed).append(document)
        self._count(vanished=len(doc_ids) - len(reply["hits"]["hits"]))
        return group

    def _to_document(self, hit: JSON) -> ReadDocument:
        texts = read_texts(hit, self._index.made_of)
        state = {"seq_no": hit["_seq_no"], "primary_term": hit["_primary_term"]}
        if "_routing" in hit:
            state["routing"] = hit["_routing"]
        copies = copied_values(hit.get("_source", {}), self._index.origin.copies)
        return ReadDocument(read_doc_id(hit, self._index.schema), texts, hash_texts(texts), copies, state)

    async def _encode(
        self,
        found: asyncio.Queue[DifferingGroup | None],
        encoded: asyncio.Queue[tuple[DifferingGroup, list[IndexedDocument]] | None],
    ) -> None:
        while group := await found.get():
            if not self._stop.done():
                made = await asyncio.to_thread(self._encode_group, group)
                count_reasons(self._reasons, [NO_NUMBER] * made.failed)
                self._count(failed=made.failed)
                await encoded.put((group, made.documents))
        await encoded.put(None)

    def _encode_group(self, group: DifferingGroup) -> EncodedDocuments:
        if self._most_nested is not None:  # of more, a partial update would put others' vectors in
            cuts = self._cut(group.touched)
            long = [
                document
                for document, passages in zip(group.touched, cuts, strict=True)
                if len(passages) > self._most_nested
            ]
            group.changed += long
            group.touched = [document for document in group.touched if document not in long]
        cuts = self._cut(group.changed)
        texts = [passage.text for passages in cuts for passage in passages]
        vectors, encoded = encode_in_steps(self._encoder, texts, self._stop.done)
        made, start = EncodedDocuments([], 0), 0
        for document, passages in zip(group.changed, cuts, strict=True):
            own = slice(start, start + len(passages))
            start = own.stop
            if not encoded[own].all():
                continue
            if np.isfinite(vectors[own]).all():
                made.documents.append(build_document(document, passages, vectors[own]))
            else:
                made.failed += 1
        return made

    def _cut(self, documents: Sequence[ReadDocument]) -> list[tuple[Passage, ...]]:
        return cut(
            [Document(document.doc_id, document.texts) for document in documents],
            self._vectors.schema,
            max_tokens=self._max_tokens,
            token_offsets=self._encoder.token_offsets,
        )

    async def _write(self, encoded: asyncio.Queue[tuple[DifferingGroup, list[IndexedDocument]] | None]) -> None:
        while pair := await encoded.get():
            group, documents = pair
            written = await self._send(build_bulk(documents, self._vectors.schema, self._vectors.form))
            touched = await self._send([build_touch(document, self._index) for document in group.touched])
            self._count(
                written=sum(outcome.kind == "written" for outcome in written),
                touched=sum(outcome.kind in ("written", "unchanged") for outcome in touched),
                vanished=sum(outcome.kind == "gone" for outcome in touched),
                passages=sum(len(document.passages) for document in documents),
                without_text=sum(not document.passages for document in documents),
            )

    async def _send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """The outcome of each; what is refused for good is counted with its reason."""
        outcomes = await self._sender.send(actions)
        if reason := blocked_reason(outcomes):
            raise IndexBlocked(reason)
        failed = [outcome for outcome in outcomes if outcome.kind in ("refused", "conflict")]
        count_reasons(self._reasons, [outcome.reason for outcome in failed])
        self._count(failed=len(failed))
        return outcomes

    async def _remove_gone(self) -> None:
        """Take out of ours what theirs has no longer."""
        async for doc_ids in self._ours():
            find = partial(self._index.find_gone, doc_ids, timeout_s=ADMIN_TIMEOUT_S)
            if gone := await self._retry.run(find):
                sent = await self._send(build_removal(gone))
                self._count(removed=sum(outcome.kind in ("written", "gone") for outcome in sent))
        await self._retry.run(self._vectors.finish)

    async def _ours(self) -> AsyncIterator[list[str]]:
        """The ids of all documents of ours, in pages."""
        asked: JSON = {"size": COMPARED, "sort": [{DOC_ID: "asc"}], "track_total_hits": False} | BY_VALUES
        after: list[Any] = []
        while True:
            body = asked | ({"search_after": after} if after else {})
            reply = await self._retry.run(partial(self._vectors.ask, body, ADMIN_TIMEOUT_S))
            hits = reply["hits"]["hits"]
            if hits:
                yield [read_doc_id(hit, self._vectors.schema) for hit in hits]
            if len(hits) < COMPARED or self._stop.done():
                return
            after = hits[-1]["sort"]

    def _count(self, **more: int) -> None:
        self._counts = added(self._counts, **more)
        self._on_progress(self._counts)


async def put_uuid(cluster: RestCluster, index: BesideIndex, uuid: str) -> None:
    """Say in ours that all that it holds was read from the index of that uuid."""
    origin = replace(index.origin, uuid=uuid)
    body = {"_meta": origin.to_meta(index.vectors.schema)}
    path = index_path(index.vectors.name, "_mapping")
    await cluster.client.request("PUT", path, body=body, timeout_s=ADMIN_TIMEOUT_S)
