"""Documents of an old index and their copies in a new one: how one is read, written, compared and taken out again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from connector.backfill.into.plan import IntoPlan
from connector.backfill.passages import is_of_its_text
from connector.backfill.scan import ANY, FoundDocument, Shard, read_found, read_shard
from connector.backfill.write import PassageUpdate
from connector.clusters.dialect import ask_texts
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.clusters.vector_form import VectorForm
from connector.clusters.writing.nested_objects import holds_vectors

JSON = dict[str, Any]
DocumentKey = tuple[str, str | None]  # what tells a document from the others of its index: its id, and its routing


@dataclass(frozen=True, slots=True)
class Original:
    """A document of the old index, with its whole source. `is_misread`: the engine shows other vectors in it than it
    has."""

    document: FoundDocument
    source: JSON
    is_misread: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """Which write of the new index a copy is, and what it holds beside passages."""

    document: FoundDocument
    source: JSON


def key_of(document: FoundDocument) -> DocumentKey:
    return document.doc_id, document.routing


def ask_whole(plan: IntoPlan) -> JSON:
    """What a search brings along of each original: all of it, vectors of the application's own too."""
    source: Any = {"exclude_vectors": False} if plan.exclude_vectors else True
    return ask_texts(plan.fill.schema) | {"_source": source}


def read_original(hit: JSON, plan: IntoPlan) -> Original:
    document, source = read_found(hit, plan.fill), _without_ours(hit.get("_source", {}), plan)
    too_many = plan.most_nested is not None and document.own_nested + document.other_nested > plan.most_nested
    is_misread = too_many and holds_vectors(source, plan.fill.others.theirs)
    return Original(replace(document, own_nested=0), source, is_misread)  # passages of an earlier back-fill stay behind


def build_copy(plan: IntoPlan, original: Original, update: PassageUpdate, condition: JSON, form: VectorForm) -> bytes:
    """The bulk lines that write an original with its passages and marker; without a marker, as it is."""
    names, document = plan.fill.added.names, original.document
    passages = [
        {"ordinal": passage.ordinal, "text": passage.text, names.vector_name: form(vector)}
        for passage, vector in zip(update.passages, update.vectors, strict=True)
    ]
    source = original.source
    if update.marker:
        source = source | {names.passages: passages, names.marker: plan.fill.added.marker_values(update.marker)}
    action = {"index": _address(document) | condition}
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps(source, option=orjson.OPT_SERIALIZE_NUMPY))


def same_version(document: FoundDocument) -> JSON:
    """What gives a copy the version of its original: where an application gives versions, it goes on with them."""
    return {"version": document.version, "version_type": "external_gte"}


def unless_written_since(copied: FoundDocument) -> JSON:
    """What keeps a write from a copy that somebody wrote since it was read."""
    return {"if_seq_no": copied.seq_no, "if_primary_term": copied.primary_term}


def build_delete(copied: FoundDocument) -> bytes:
    """The bulk line that takes a copy out, unless somebody wrote it since it was read."""
    return orjson.dumps({"delete": _address(copied) | unless_written_since(copied)}) + b"\n"


def is_same(plan: IntoPlan, original: Original, copied: Copied | None) -> bool:
    """Whether a copy is what its original would become now."""
    if copied is None or copied.document.version != original.document.version or copied.source != original.source:
        return False
    return is_of_its_text(plan.fill, replace(original.document, marker=copied.document.marker))


async def read_copies(cluster: RestCluster, plan: IntoPlan, originals: Sequence[Original]) -> dict[DocumentKey, Copied]:
    """Those of the originals that the new index has, as searches see them, without their passages."""
    names = plan.fill.added.names
    source: JSON = {"excludes": [names.passages]} | ({"exclude_vectors": False} if plan.exclude_vectors else {})
    body = _of_ids([original.document for original in originals]) | {"_source": source}
    return {
        key_of(found := read_found(hit, plan.fill)): Copied(found, _without_ours(hit.get("_source", {}), plan))
        for hit in await _search(cluster, plan.new, body)
    }


async def find_gone(cluster: RestCluster, plan: IntoPlan) -> AsyncIterator[list[FoundDocument]]:
    """Copies of which the old index has no original any more, in groups; each with its shard's numbers."""
    for number in range(plan.fill.shards):
        async for copied in read_shard_ids(cluster, plan, number):
            if gone := await find_gone_among(cluster, plan, copied):
                yield gone


async def find_gone_among(cluster: RestCluster, plan: IntoPlan, copied: Sequence[FoundDocument]) -> list[FoundDocument]:
    """Those of the copies of which the old index has no original, as searches see it."""
    if not copied:
        return []
    existing = {_key(hit) for hit in await _search(cluster, plan.old, _of_ids(copied) | {"_source": False})}
    return [document for document in copied if key_of(document) not in existing]


async def read_shard_ids(
    cluster: RestCluster, plan: IntoPlan, number: int, query: JSON = ANY, upto: int | None = None
) -> AsyncIterator[list[FoundDocument]]:
    """The copies in one shard of the new index, by their ids alone."""
    place = Shard(plan.new, number, plan.fill.shards)
    async for hits in read_shard(cluster, place, query, {"_source": False}, upto=upto):
        yield [read_found(hit, plan.fill) for hit in hits]


def _key(hit: JSON) -> DocumentKey:
    return hit["_id"], hit.get("_routing")


def _address(document: FoundDocument) -> JSON:
    address: JSON = {"_id": document.doc_id}
    return address | ({"routing": document.routing} if document.routing is not None else {})


def _without_ours(source: JSON, plan: IntoPlan) -> JSON:
    names = plan.fill.added.names
    return {key: value for key, value in source.items() if key not in (names.passages, names.marker)}


def _of_ids(documents: Sequence[FoundDocument]) -> JSON:
    """The body of a search for these documents; one id may be there under several routings."""
    ids = {"ids": {"values": list({document.doc_id for document in documents})}}
    size = min(10_000, 4 * len(documents))
    query = {"bool": {"filter": [ids]}}
    return {"query": query, "size": size, "version": True, "seq_no_primary_term": True, "track_total_hits": False}


async def _search(cluster: RestCluster, index: str, body: JSON) -> list[JSON]:
    path = index_path(index, "_search")
    reply = await cluster.client.request("POST", path, body=body, timeout_s=ADMIN_TIMEOUT_S)
    hits: list[JSON] = reply["hits"]["hits"]
    return hits
