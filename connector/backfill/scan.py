"""The documents of an index, read shard by shard in the order of their sequence numbers while others write to it.

One slice of a point in time for each shard is exactly that shard, and a sequence number is unique in it. What a point
in time shows is old by the time that it is read, and so are its sequence numbers: a conditional write from it cannot
overwrite what was written since."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.backfill.fields import BackfillPlan
from connector.backfilled import AddedNames, Backfilled, read_marker
from connector.clusters.dialect import ask_texts
from connector.clusters.paths import index_path
from connector.clusters.reading.hits import read_texts
from connector.clusters.reading.views import PointInTime, lost
from connector.clusters.reasons import explain_reason
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import ClusterError

JSON = dict[str, Any]
KEEP_S = 120  # how long the engine keeps a point in time that nobody reads from; one that it lost is opened again
FIRST_PAGE, PAGE = 50, 1_000  # hits: of the first page, and of any
PAGE_CHARS = 8_000_000  # of a page, whatever the documents' length
PAGES_OF_ONE_VIEW = 100  # then it is opened anew: segments that it needs stay on disk while it is open
NONE_YET = -1  # below all sequence numbers
ANY: JSON = {"match_all": {}}
STATS_GROUP = "connector-backfill"  # of our searches, so that the engine counts those of others apart


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of an index: its number, of so many."""

    index: str
    number: int
    of: int


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document as it was when it was read: where it is, which write of it that was, its texts by field (without
    empty ones), the marker that it carries ("" for none), and the shard that it was found in. Where nested objects are
    counted: how many passages of ours it has, and how many others."""

    index: str
    doc_id: str
    routing: str | None
    seq_no: int
    primary_term: int
    version: int
    texts: Mapping[str, str]
    marker: str = ""
    shard: int = 0
    own_nested: int = 0
    other_nested: int = 0


async def count_shards(cluster: RestCluster, index: str) -> int:
    """How many primary shards an index has. Raises ClusterError where the name stands for another by now."""
    params = {"flat_settings": "true"}
    path = index_path(index, "_settings/index.number_of_shards")
    reply = await cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
    if index not in reply:
        raise ClusterError(f"there is no index {index!r} of that very name", status=404)
    return int(reply[index]["settings"]["index.number_of_shards"])


def needs_work(added: Backfilled) -> JSON:
    """The query for documents that lack these passages: never done, replaced by the application, done by another
    encoder or of other fields, or stripped of their vectors while texts and marker stayed."""
    names = added.names
    vector = {"exists": {"field": names.vector}}
    done = {"term": {names.marker: added.generation}}
    empty = {"term": {names.marker: added.without_text}}
    either = [
        {"bool": {"must_not": [done]}},
        {"bool": {"must_not": [empty, _nested(names, vector)]}},
        _nested(names, {"bool": {"must_not": [vector]}}),
    ]
    return {"bool": {"should": either, "minimum_should_match": 1}}


def has_work_done(plan: BackfillPlan, without: Sequence[tuple[int, int]] = ()) -> JSON:
    """The query for all others: they have passages of this plan, which may be of a text that has changed since.
    `without` are intervals of sequence numbers that need no look."""
    intervals: list[JSON] = [{"range": {"_seq_no": {"gte": first, "lte": last}}} for first, last in without]
    return {"bool": {"must_not": [needs_work(plan.added), *intervals]}}


def _nested(names: AddedNames, query: JSON) -> JSON:
    return {"nested": {"path": names.passages, "query": query, "ignore_unmapped": True}}


def only_numbers(query: JSON, numbers: Sequence[int]) -> JSON:
    """The query, for those documents alone whose last write has one of the sequence numbers."""
    return {"bool": {"filter": [{"terms": {"_seq_no": list(numbers)}}, query]}}


async def find_work(
    cluster: RestCluster,
    plan: BackfillPlan,
    shard: int,
    *,
    after: int = NONE_YET,
    upto: int | None = None,
    only: Sequence[int] = (),
) -> AsyncIterator[FoundDocument]:
    """The documents of a shard that lack passages of this plan, by rising sequence number: above `after`, and up to
    `upto` where given; of those numbers `only`, where given. Only what was refreshed is seen."""
    query = needs_work(plan.added)
    query = only_numbers(query, only) if only else query
    found = read_documents(cluster, plan, shard, query, after=after, upto=upto)
    async for document in found:
        yield document


async def read_documents(
    cluster: RestCluster,
    plan: BackfillPlan,
    shard: int,
    query: JSON = ANY,
    *,
    after: int = NONE_YET,
    upto: int | None = None,
) -> AsyncIterator[FoundDocument]:
    """The documents of a shard that a query matches, with their texts and markers."""
    place = Shard(plan.index, shard, plan.shards)
    async for page in read_shard(cluster, place, query, build_asked(plan), after=after, upto=upto):
        for hit in page:
            yield read_found(hit, plan, shard)


def build_asked(plan: BackfillPlan) -> JSON:
    """What a search brings along of each document: its texts and its marker, and no vectors."""
    asked = ask_texts(plan.schema)
    names = plan.added.names
    return asked | {"_source": [*(asked["_source"] or ()), names.marker, *plan.others.asked(names)]}


def read_found(hit: JSON, plan: BackfillPlan, shard: int = 0) -> FoundDocument:
    """The document of a hit, or of a reply to GET or _mget, in a shard."""
    source, names = hit.get("_source", {}), plan.added.names
    return FoundDocument(
        index=hit["_index"],
        doc_id=hit["_id"],
        routing=hit.get("_routing"),
        seq_no=hit["_seq_no"],
        primary_term=hit["_primary_term"],
        version=hit["_version"],
        texts=read_texts(hit, plan.schema),
        marker=read_marker(source.get(names.marker)),
        shard=shard,
        own_nested=plan.others.count_own(source, names),
        other_nested=plan.others.count(source),
    )


async def read_again(
    cluster: RestCluster, plan: BackfillPlan, documents: Sequence[FoundDocument]
) -> list[FoundDocument | None]:
    """The documents as they are now, refreshed or not; None for each that is gone."""
    asked = build_asked(plan)["_source"]
    docs = [
        {"_id": found.doc_id, "_source": asked} | ({"routing": found.routing} if found.routing is not None else {})
        for found in documents
    ]
    reply = await cluster.client.request(
        "POST", index_path(plan.index, "_mget"), body={"docs": docs}, timeout_s=cluster.timeout_s
    )
    if broken := next((doc["error"] for doc in reply["docs"] if "error" in doc), None):
        raise ClusterError(f"documents of {plan.index!r} cannot be read again: {explain_reason(broken, 400)}")
    return [
        read_found(doc, plan, found.shard) if doc.get("found") else None
        for doc, found in zip(reply["docs"], documents, strict=True)
    ]


async def last_seq_no(cluster: RestCluster, shard: Shard) -> int:
    """The highest sequence number of the shard's documents that searches see; -1 where there is none."""
    async for page in read_shard(cluster, shard, ANY, {"_source": False}, newest_first=True):
        return int(page[0]["_seq_no"])
    return NONE_YET


async def read_shard(
    cluster: RestCluster,
    shard: Shard,
    query: JSON,
    asked: JSON,
    *,
    after: int = NONE_YET,
    upto: int | None = None,
    newest_first: bool = False,
) -> AsyncGenerator[list[JSON], None]:
    """Pages of hits of one shard by their sequence numbers, above `after`, and up to `upto` where given.

    A point in time that the engine lost, or that has been open for long, is opened again: it goes on behind the last
    hit."""
    last, whole, size = after, False, 1 if newest_first else FIRST_PAGE
    while not whole:
        view = await _open(cluster, shard.index)
        try:
            for _ in range(PAGES_OF_ONE_VIEW):
                body = asked | _build_page(shard, query, last, upto, size, newest_first)
                hits = await _ask(cluster, shard.index, view, body)
                if hits:
                    last = int(hits[-1]["_seq_no"])
                    yield hits
                if len(hits) < size or newest_first:
                    whole = True
                    break
                size = fit_page(size, hits)
        except _ViewGone:
            pass
        finally:
            await _close(cluster, view)


def fit_page(size: int, hits: Sequence[JSON]) -> int:
    """How many hits the next page should have, for about PAGE_CHARS of them; never many times more than this one."""
    chars = max(1, sum(_chars(hit.get("_source")) for hit in hits))
    return min(PAGE, max(1, min(2 * size, size * PAGE_CHARS // chars)))


def _chars(value: Any) -> int:
    """About how long a value is as JSON."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_chars, value))
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    return 8  # a number


class _ViewGone(Exception):
    """The engine has no such point in time any more."""


def _build_page(shard: Shard, query: JSON, last: int, upto: int | None, size: int, newest_first: bool) -> JSON:
    bounds = {"gt": last} | ({} if upto is None else {"lte": upto})
    body: JSON = {
        "query": {"bool": {"filter": [{"range": {"_seq_no": bounds}}, query]}},
        "size": size,
        "sort": [{"_seq_no": "desc" if newest_first else "asc"}],
        "track_total_hits": False,
        "stats": [STATS_GROUP],
        "seq_no_primary_term": True,
        "version": True,
    }
    return body | ({"slice": {"id": shard.number, "max": shard.of}} if shard.of > 1 else {})


async def _open(cluster: RestCluster, index: str) -> PointInTime:
    calls = cluster.dialect.views
    params = {"keep_alive": f"{KEEP_S}s"}
    path = index_path(index, calls.open)
    reply = await cluster.client.request("POST", path, params=params, timeout_s=cluster.timeout_s)
    return PointInTime(str(reply[calls.name]), KEEP_S)


async def _ask(cluster: RestCluster, index: str, view: PointInTime, body: JSON) -> list[JSON]:
    try:
        reply = await cluster.client.request("POST", "/_search", body=view.within(body), timeout_s=cluster.timeout_s)
    except ClusterError as error:
        if lost(index, error):
            raise _ViewGone from error
        raise
    view.follow(reply)
    failures = reply.get("_shards", {}).get("failures")
    if failures:
        reason = explain_reason(failures[0].get("reason"), int(failures[0].get("status", 500)))
        raise ClusterError(f"a shard of {index!r} failed: {reason}")
    hits: list[JSON] = reply["hits"]["hits"]
    return hits


async def _close(cluster: RestCluster, view: PointInTime) -> None:
    """A point in time that cannot be closed goes away by itself."""
    calls = cluster.dialect.views
    try:
        body = calls.closing(view.view)
        await cluster.client.request("DELETE", calls.close, body=body, timeout_s=cluster.timeout_s)
    except ClusterError:
        return
