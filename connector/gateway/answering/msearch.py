"""`_msearch`: each of its searches by itself, all legs of all of them upstream as one `_msearch`, all pages as a
second. Searches that are not recognised ride along as they came; replies stand in the caller's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import ConnectorError
from connector.gateway.answering.answer import check_filter_path, milliseconds_since, write_reply
from connector.gateway.answering.complaints import Complaints
from connector.gateway.answering.outcome import with_outcome
from connector.gateway.answering.page import build_reply, fetch_page, plan_page, requests_of
from connector.gateway.answering.shadow import Shadows
from connector.gateway.answering.share import in_share
from connector.gateway.exchange import Asked, Headers, Passed, Replied, Upstream
from connector.gateway.ordering.order import Degraded, Order, Ordering, Refused, Wanted
from connector.gateway.ordering.remembered import RememberedOrders
from connector.gateway.ordering.sender import Batch, InBatch
from connector.gateway.ordering.site import Sites
from connector.gateway.reading.body import read_search
from connector.gateway.reading.coding import chosen_coding
from connector.gateway.reading.media import check_media, headers_of_ours, read_body
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import Parameters, read_msearch_parameters
from connector.gateway.reading.raw_json import Raw, read_copy
from connector.gateway.reading.target import Target
from connector.gateway.reading.wishes import Wishes, read_wishes

MAX_SEARCHES = 500
HEAD_KEYS = frozenset(
    {"index", "preference", "routing", "search_type", "request_cache", "allow_partial_search_results"}
    | {"ignore_unavailable", "allow_no_indices", "expand_wildcards", "ccs_minimize_roundtrips"}
)
# of a search its order, the engine's reply to it as it came, or why there is no order
Found = Order | Raw | Exception
LEGS_SHARE = 0.5  # of the deadline: what of the first batch is there by then is sent


@dataclass(frozen=True, slots=True)
class Item:
    """One search: its two lines as they came, and what of it is recognised. `shadowed`: it rides along as it came, and
    ours is computed beside it."""

    head: bytes
    body: bytes
    wanted: Wanted | None = None
    shadowed: bool = False

    @property
    def is_ours(self) -> bool:
        return self.wanted is not None and not self.shadowed


class MultiSearch:
    """Answers an `_msearch`."""

    def __init__(self, sites: Sites, remembered: RememberedOrders, shadows: Shadows, complaints: Complaints) -> None:
        self._sites = sites
        self._remembered = remembered
        self._shadows = shadows
        self._complaints = complaints

    async def answer(self, asked: Asked, target: Target, upstream: Upstream) -> Replied | Passed:
        """The reply. Raises NotRecognised, and UpstreamAway."""
        began = time.monotonic()
        parameters = read_msearch_parameters(asked.query_string)
        check_filter_path(parameters, "responses")
        check_media(asked.headers, has_body=True, lines=True)
        headers = headers_of_ours(asked.headers)
        limit = self._sites.settings.gateway.max_msearch_bytes
        items = self._read(read_body(asked.headers, asked.body, limit=limit), asked.headers, headers, target)
        if not any(item.wanted for item in items):
            raise NotRecognised("no search of ours")
        as_int = "rest_total_hits_as_int" in parameters.names()
        coding = chosen_coding(asked.headers)
        way = Batch(upstream, asked.raw_path, parameters.all_written, headers, as_int, 0, coding)
        found = await self._find(items, way)
        if found is None:
            return Passed("refused-by-the-engine")
        second = way.another(coding=b"" if way.reply_headers else coding)
        replies = await self._fetch(items, found, second, began)
        self._compare(items, replies, way)
        headers = way.reply_headers or second.reply_headers or ()
        is_elasticsearch = any(item.wanted.site.is_elasticsearch for item in items if item.wanted)
        body = {"took": milliseconds_since(began), "responses": replies}
        replied = await write_reply(body, headers, parameters, is_elasticsearch=is_elasticsearch)
        return with_outcome(replied, outcome(found))

    def _read(self, data: bytes, asked: Headers, headers: Headers, target: Target) -> list[Item]:
        wishes = read_wishes(asked, self._sites.pipelines)
        lines = data.split(b"\n")
        if lines.pop().strip() or len(lines) % 2 or len(lines) > 2 * MAX_SEARCHES:
            raise NotRecognised("lines")
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return [self._item(head.rstrip(b"\r"), body.rstrip(b"\r"), headers, target, wishes) for head, body in pairs]

    def _item(self, head: bytes, body: bytes, headers: Headers, target: Target, wishes: Wishes) -> Item:
        try:
            said = read_copy(head)
            index = said.get("index", target.index) if isinstance(said, dict) else None
            if not isinstance(said, dict) or said.keys() - HEAD_KEYS or not isinstance(index, str):
                return Item(head, body)
            site = self._sites.get(index)
            if site is None:
                return Item(head, body)
            read = read_search(body, Parameters(), site.reader(), retrievers=site.is_elasticsearch)
        except NotRecognised:
            return Item(head, body)
        if not in_share(site, read.text):
            return Item(head, body)
        return Item(head, body, Wanted(site, read, Parameters(), headers, wishes, within=head), site.settings.shadow)

    async def _find(self, items: Sequence[Item], batch: Batch) -> list[Found] | None:
        """For each search its order, the engine's reply to it as it came, or why there is no order. None where the
        engine refuses all of it."""
        known = [self._remembered.get(item.wanted) if item.wanted and item.is_ours else None for item in items]
        orderings: list[Ordering | None] = []
        for item, order in zip(items, known, strict=True):
            made = None
            if item.wanted and item.is_ours and order is None:
                try:
                    made = Ordering(item.wanted, InBatch(batch, item.head))
                except NotRecognised:
                    made = None
            orderings.append(made)
        counts = await asyncio.gather(*(ordering.encode() for ordering in orderings if ordering))
        riding = [order is None and made is None for order, made in zip(known, orderings, strict=True)]
        batch.expected = sum(counts) + sum(riding)
        until = min((item.wanted.site.deadline_s for item in items if item.wanted), default=1) * LEGS_SHARE
        timer = asyncio.get_running_loop().call_later(until, batch.send)
        try:
            found = await asyncio.gather(
                *(
                    _known(order) if order else self._order(made) if made else _as_came(batch, item)
                    for item, order, made in zip(items, known, orderings, strict=True)
                )
            )
        finally:
            timer.cancel()
            await batch.close()
        return None if batch.failed else list(found)

    async def _order(self, ordering: Ordering) -> Found:
        """The order; or why there is none, after which the search is asked for as it came."""
        site = ordering.wanted.site
        try:
            return await ordering.find()
        except Degraded as part:
            self._complaints.add(site.name, site.may_repeat, part)
            return part
        except (Refused, ConnectorError) as error:
            return error

    async def _fetch(
        self, items: Sequence[Item], found: Sequence[Found], batch: Batch, began: float
    ) -> list[dict[str, Any] | Raw]:
        """The replies of all searches. Those of which no order was found are asked for as they came."""
        plans = [
            plan_page(item.wanted, each) if item.wanted and isinstance(each, Order) else None
            for item, each in zip(items, found, strict=True)
        ]
        batch.expected = sum(requests_of(plan) for plan in plans if plan)
        batch.expected += sum(isinstance(each, Exception) for each in found)
        try:
            return list(
                await asyncio.gather(
                    *(self._page(item, each, batch, began) for item, each in zip(items, found, strict=True))
                )
            )
        finally:
            await batch.close()

    async def _page(self, item: Item, found: Found, batch: Batch, began: float) -> dict[str, Any] | Raw:
        if isinstance(found, Raw):
            return found
        if isinstance(found, Order) and item.wanted:
            try:
                page = await fetch_page(item.wanted, found, InBatch(batch, item.head))
                self._remembered.put(item.wanted, page.order)
                return build_reply(page.order, page.hits, took_ms=milliseconds_since(began))
            except Degraded as part:
                self._complaints.add(item.wanted.site.name, item.wanted.site.may_repeat, part)
        batch = batch if batch.is_open else batch.another(1)
        return Raw((await batch.ask(item.head, item.body, ours=False)).body)

    def _compare(self, items: Sequence[Item], replies: Sequence[dict[str, Any] | Raw], way: Batch) -> None:
        for item, reply in zip(items, replies, strict=True):
            if item.wanted and item.shadowed and isinstance(reply, Raw):
                sender = InBatch(way, item.head)
                self._shadows.begin(item.wanted, sender, self._remembered, Replied(200, (), bytes(reply)))


def outcome(found: Sequence[Found]) -> str:
    """What was done, for the reply's header."""
    reranked = sum(isinstance(each, Order) for each in found)
    failed = sum(isinstance(each, Exception) for each in found)
    return f"reranked;searches={reranked};of={len(found)}" + (f";degraded={failed}" if failed else "")


async def _known(order: Order) -> Found:
    return order


async def _as_came(batch: Batch, item: Item) -> Found:
    try:
        return Raw((await batch.ask(item.head, item.body, ours=False)).body)
    except ConnectorError as error:
        return error
