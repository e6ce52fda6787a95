"""The order of a window -> the page that was asked for: what is fetched for it, and the reply made of that.

Ranks within the window come from the order. From its end on the engine's own order goes on, without what the window
has: no page repeats a hit or leaves a gap, and none is empty before all that matches was shown."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import orjson

from connector.clusters.reading.hits import read_doc_id
from connector.gateway.exchange import BufferedReply, Headers
from connector.gateway.ordering.bodies import count_body, page_body, tail_body
from connector.gateway.ordering.caller_client import STATUS_ERROR
from connector.gateway.ordering.order import Degraded, Order, RecognisedSearch
from connector.gateway.ordering.scores import tail_score
from connector.gateway.ordering.sender import Sender
from connector.gateway.reading.parameters import RequestKind
from connector.gateway.reading.raw_json import RAW_OBJECTS, Raw, members
from connector.schema import IndexSchema

RawHit = dict[str, Raw]


@dataclass(frozen=True, slots=True)
class PagePlan:
    """What has to be asked for a page: the documents of the window that it shows, and how much of the tail."""

    doc_ids: tuple[str, ...]
    first: int  # the rank of the first of them, from 0
    tail_start: int
    tail_size: int
    counts: bool  # how many of the window the query does not match is not known yet


def plan_page(search: RecognisedSearch, order: Order) -> PagePlan:
    """Pure: what of a page comes from where."""
    start, end, length = search.body.start, search.body.start + search.body.size, len(order.window)
    tail_start = max(start, length)
    return PagePlan(
        order.window[start:end],
        start,
        tail_start - length,
        max(end - tail_start, 0),
        order.only_dense is None and not order.counted and _counts_exactly(order),
    )


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """The hits of a page, in its order and with its scores; the order, with what is known of it now; and the headers of
    what the engine said last, None where nothing had to be asked."""

    hits: list[RawHit]
    order: Order
    headers: Headers | None


async def fetch_page(search: RecognisedSearch, order: Order, sender: Sender) -> FetchedPage:
    """The page of an order. Where some of its documents were deleted since, those after them move up.

    Raises Degraded where the engine did not give them."""
    while True:
        page = await _fetch(search, order, sender)
        if page.order.gone == order.gone:
            return page
        order = page.order


async def _fetch(search: RecognisedSearch, order: Order, sender: Sender) -> FetchedPage:
    """The hits that are there of the page, and the order without those that are not."""
    plan, body, schema = plan_page(search, order), search.body, search.site.index.schema
    bodies: dict[RequestKind, bytes] = {}
    if plan.doc_ids:
        matching = order.bounded or not set(plan.doc_ids) & set(order.beside)
        bodies["page"] = page_body(body, schema, plan.doc_ids, explained=search.explains and matching)
    if plan.tail_size:
        start, size = plan.tail_start, plan.tail_size
        bodies["tail"] = tail_body(body, schema, (*order.window, *order.gone), start=start, size=size, also=order.also)
    if plan.counts:
        bodies["dense"] = count_body(body, schema, order.beside)
    replies = await _ask_all(bodies, sender)
    if plan.counts:
        order = replace(order, only_dense=len(order.beside) - _count(replies["dense"]))
    hits: list[RawHit] = []
    if plan.doc_ids:
        placed = _placed(replies["page"], plan, order, search)
        hits += placed.values()
        if gone := [doc_id for doc_id in plan.doc_ids if doc_id not in placed]:
            _check_whole(replies["page"])
            order = order.without(gone)
    if plan.tail_size:
        kind = search.site.settings.scores
        for hit in _hits(replies["tail"]):
            score = orjson.loads(bytes(hit["_score"]))
            hits.append(_scored(hit, tail_score(kind, float(score or 0.0), order.scores)))
    return FetchedPage(hits, order, next((reply.headers for reply in replies.values()), None))


def requests_of(plan: PagePlan) -> int:
    """How many requests a page takes."""
    return bool(plan.doc_ids) + bool(plan.tail_size) + plan.counts


async def _ask_all(bodies: Mapping[RequestKind, bytes], sender: Sender) -> dict[RequestKind, BufferedReply]:
    found = await asyncio.gather(*(sender.ask(leg, body) for leg, body in bodies.items()))
    for reply in found:
        if reply.status >= STATUS_ERROR:
            raise Degraded("page", f"the engine answered {reply.status} to what fetches the page")
    return dict(zip(bodies, found, strict=True))


def _check_whole(reply: BufferedReply) -> None:
    """Nothing, where what a reply lacks is not there. Raises Degraded where only a part of the index answered."""
    found = members(reply.body)
    timed_out, shards = (
        orjson.loads(bytes(found[name])) if name in found else None for name in ("timed_out", "_shards")
    )
    if timed_out or (shards and shards.get("failed")):
        raise Degraded("page", "a part of the index did not answer to what fetches the page")


def _placed(reply: BufferedReply, plan: PagePlan, order: Order, search: RecognisedSearch) -> dict[str, RawHit]:
    """The hits of the window that the page shows, in its order; one that was deleted since is not among them."""
    schema, indices = search.site.index.schema, search.indices
    hits = (hit for hit in _hits(reply) if indices is None or orjson.loads(bytes(hit["_index"])) in indices)
    by_id = {_doc_id(hit, schema): hit for hit in hits}
    scores = order.scores[plan.first : plan.first + len(plan.doc_ids)]
    places = zip(plan.doc_ids, scores, strict=True)
    return {doc_id: _scored(by_id[doc_id], score) for doc_id, score in places if doc_id in by_id}


def _hits(reply: BufferedReply) -> list[RawHit]:
    try:
        return RAW_OBJECTS.decode(members(members(reply.body)["hits"])["hits"])
    except (msgspec.DecodeError, KeyError) as error:
        raise Degraded("page", "the engine's reply is no search's") from error


def _doc_id(hit: RawHit, schema: IndexSchema) -> str:
    named: dict[str, Any] = {
        name: orjson.loads(bytes(hit[name])) for name in ("_id", "_index", "_routing") if name in hit
    }
    return read_doc_id(named, schema)


def _scored(hit: RawHit, score: float) -> RawHit:
    """The hit with another score, at the same place among its members."""
    return hit | {"_score": Raw(orjson.dumps(score))}


def _count(reply: BufferedReply) -> int:
    total = orjson.loads(bytes(members(members(reply.body)["hits"])["total"]))
    return int(total["value"] if isinstance(total, dict) else total)


def _counts_exactly(order: Order) -> bool:
    """Whether the total says how many there are, and not how many at least."""
    given = order.lexical.hits.get("total")
    if given is None:
        return False
    total = orjson.loads(bytes(given))
    return not isinstance(total, dict) or total.get("relation") == "eq"


def build_reply(order: Order, hits: Sequence[RawHit], *, took_ms: int) -> dict[str, Any]:
    """The reply: all members as the engine wrote them, in its order, with the hits of the page."""
    found: dict[str, Any] = dict(order.lexical.hits)
    if "total" in found and order.only_dense and not order.counted and _counts_exactly(order):
        found["total"] = _with_more(found["total"], order.only_dense)
    best = order.scores[0] if order.scores else None
    if "max_score" in found and best is not None:
        engine = orjson.loads(bytes(found["max_score"]))
        if engine is None or not math.isclose(engine, best, rel_tol=1e-6):
            found["max_score"] = best
    found["hits"] = list(hits)
    top: dict[str, Any] = dict(order.lexical.top)
    if "took" in top:
        top["took"] = took_ms
    top["hits"] = found
    return top


def _with_more(total: Raw, count: int) -> Any:
    """A total with so many more documents."""
    value = orjson.loads(bytes(total))
    if isinstance(value, dict):
        return value | {"value": value["value"] + count}
    return value + count
