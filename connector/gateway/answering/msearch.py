"""`_msearch`: each of its searches by itself, all legs of all of them upstream as one `_msearch`, all pages as a
second. Searches that are not recognised ride along as they came; replies stand in the caller's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from connector.errors import ConnectorError
from connector.gateway.answering.answer import check_filter_path, milliseconds_since, write_reply
from connector.gateway.answering.complaints import Complaints
from connector.gateway.answering.fitting import FittingSearches
from connector.gateway.answering.outcome import with_outcome
from connector.gateway.answering.page import build_reply, fetch_page, plan_page, requests_of
from connector.gateway.answering.shadow import Shadows
from connector.gateway.answering.share import in_share
from connector.gateway.exchange import (
    BufferedReply,
    BufferedRequest,
    Headers,
    Interception,
    NotIntercepted,
    Upstream,
    UpstreamAway,
)
from connector.gateway.ordering.order import Degraded, Order, Ordering, RecognisedSearch, Refused
from connector.gateway.ordering.remembered import RememberedOrders
from connector.gateway.ordering.sender import Batch, BatchSender
from connector.gateway.ordering.site import Sites, check_patterns
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
FEW = 16  # searches that go as they came, with the legs of others
# what a search begins with: its order where that is known, what finds it, or nothing where it goes as it came
Beginning = Order | Ordering | None
# of a search its order, the engine's reply to it as it came, or why there is no order
Found = Order | Raw | Exception
LEGS_SHARE = 0.5  # of the deadline: what of the first batch is there by then is sent


@dataclass(frozen=True, slots=True)
class Item:
    """One search: its two lines as they came, and what of it is recognised. `shadowed`: it rides along as it came, and
    ours is computed beside it."""

    head: bytes
    body: bytes
    search: RecognisedSearch | None = None
    shadowed: bool = False

    @property
    def is_ours(self) -> bool:
        return self.search is not None and not self.shadowed


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """The reply to one search; `failed`: why it is the engine's own. `gone` documents were found, and were no longer
    there."""

    reply: dict[str, Any] | Raw
    reranked: bool = False
    failed: Exception | None = None
    gone: int = 0


class MultiSearch:
    """Answers an `_msearch`."""

    def __init__(self, sites: Sites, remembered: RememberedOrders, shadows: Shadows, complaints: Complaints) -> None:
        self._sites = sites
        self._remembered = remembered
        self._shadows = shadows
        self._complaints = complaints
        self._fitting = FittingSearches()

    async def answer(self, request: BufferedRequest, target: Target, upstream: Upstream) -> Interception:
        """The reply. Raises NotRecognised, and UpstreamAway."""
        began = time.monotonic()
        parameters = read_msearch_parameters(request.query_string)
        check_filter_path(parameters, "responses")
        check_media(request.headers, has_body=True, lines=True)
        headers = headers_of_ours(request.headers)
        limit = self._sites.settings.gateway.max_msearch_bytes
        items = self._read(
            read_body(request.headers, request.body, limit=limit),
            request.headers,
            headers,
            target,
            set(parameters.names()),
        )
        if not any(item.search for item in items):
            raise NotRecognised("no search of ours")
        as_int = "rest_total_hits_as_int" in parameters.names()
        coding = chosen_coding(request.headers)
        way = Batch(upstream, request.raw_path, parameters.all_written, headers, as_int, 0, coding)
        beginnings, left = self._begin(items, way)
        found = await self._find(items, beginnings, way)
        if found is None:
            return NotIntercepted("refused-by-the-engine")
        second = way.another(coding=b"" if way.reply_headers else coding)
        answers = await self._fetch(items, found, second, began)
        self._tell(items, answers, left)
        self._compare(items, answers, way)
        headers = way.reply_headers or second.reply_headers or ()
        is_elasticsearch = any(item.search.site.is_elasticsearch for item in items if item.search)
        body = {"took": milliseconds_since(began), "responses": [answer.reply for answer in answers]}
        reply = await write_reply(body, headers, parameters, is_elasticsearch=is_elasticsearch)
        return with_outcome(reply, outcome(answers, left))

    def _read(
        self, data: bytes, caller_headers: Headers, headers: Headers, target: Target, names: Collection[str]
    ) -> list[Item]:
        wishes = read_wishes(caller_headers, self._sites.pipelines)
        lines = data.split(b"\n")
        if lines.pop().strip() or len(lines) % 2 or len(lines) > 2 * MAX_SEARCHES:
            raise NotRecognised("lines")
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return [
            self._item(head.rstrip(b"\r"), body.rstrip(b"\r"), headers, target, wishes, names) for head, body in pairs
        ]

    def _item(
        self, head: bytes, body: bytes, headers: Headers, target: Target, wishes: Wishes, names: Collection[str]
    ) -> Item:
        try:
            header = read_copy(head)
            index = _index_of(header, target)
            searched = self._sites.find(index) if index else None
            if index is None or searched is None:
                return Item(head, body)
            check_patterns(searched, index, (*header, *names))
            site = searched.site
            read = read_search(body, Parameters(), site.reader(), retrievers=site.is_elasticsearch)
        except NotRecognised:
            return Item(head, body)
        if not in_share(site, read.text):
            return Item(head, body)
        search = RecognisedSearch(site, read, Parameters(), headers, wishes, index, searched.indices, within=head)
        return Item(head, body, search, site.settings.shadow)

    def _begin(self, items: Sequence[Item], batch: Batch) -> tuple[list[Beginning], int]:
        """What each search begins with; and how many of ours go as they came, since no more fit."""
        beginnings: list[Beginning] = []
        room, left = self._fitting.count, 0
        for item in items:
            beginning: Beginning = self._remembered.get(item.search) if item.search and item.is_ours else None
            if item.search and item.is_ours and beginning is None:
                if room:
                    with suppress(NotRecognised):
                        beginning = Ordering(item.search, BatchSender(batch, item.head))
                        room -= 1
                else:
                    left += 1
            beginnings.append(beginning)
        return beginnings, left

    async def _find(self, items: Sequence[Item], beginnings: Sequence[Beginning], batch: Batch) -> list[Found] | None:
        """For each search its order, the engine's reply to it as it came, or why there is no order. None where the
        engine refuses all of it. Raises UpstreamAway.

        Where many go as they came, they do so by themselves, once the engine has answered the legs."""
        began = time.monotonic()
        orderings = [beginning for beginning in beginnings if isinstance(beginning, Ordering)]
        riding = [item for item, beginning in zip(items, beginnings, strict=True) if beginning is None]
        plain = batch if len(riding) <= FEW else batch.another(len(riding))
        deadline_s = min((item.search.site.deadline_s for item in items if item.search), default=1)
        timer = asyncio.get_running_loop().call_later(deadline_s * LEGS_SHARE, batch.send)
        try:
            counts = await asyncio.gather(*(ordering.encode() for ordering in orderings))
            batch.expected = sum(counts) + (len(riding) if plain is batch else 0)
            async with asyncio.TaskGroup() as group:
                ordering_all = group.create_task(self._orders(orderings, began, deadline_s))
                if plain is not batch:
                    answered = group.create_task(batch.answered.wait())
                    await asyncio.wait([ordering_all, answered], return_when=asyncio.FIRST_COMPLETED)
                    answered.cancel()
                replies = await asyncio.gather(*(_as_came(plain, item) for item in riding))
        finally:
            timer.cancel()
            await batch.close()
            await plain.close()
        if failed := batch.failed or plain.failed:
            if isinstance(failed, UpstreamAway):
                raise failed
            return None
        ordered, came = iter(ordering_all.result()), iter(replies)
        return [
            beginning if isinstance(beginning, Order) else next(ordered if beginning else came)
            for beginning in beginnings
        ]

    async def _orders(self, orderings: Sequence[Ordering], began: float, deadline_s: float) -> list[Found]:
        found = await asyncio.gather(*(_order(ordering) for ordering in orderings))
        count, took_s = sum(isinstance(result, Order) for result in found), time.monotonic() - began
        self._fitting.learn(tried=len(found), found=count, took_s=took_s, deadline_s=deadline_s)
        return found

    async def _fetch(
        self, items: Sequence[Item], found: Sequence[Found], batch: Batch, began: float
    ) -> list[ItemAnswer]:
        """The replies of all searches. Those of which no order was found are asked for as they came."""
        plans = [
            plan_page(item.search, result) if item.search and isinstance(result, Order) else None
            for item, result in zip(items, found, strict=True)
        ]
        batch.expected = sum(requests_of(plan) for plan in plans if plan)
        batch.expected += sum(isinstance(result, Exception) for result in found)
        try:
            return list(
                await asyncio.gather(
                    *(self._page(item, result, batch, began) for item, result in zip(items, found, strict=True))
                )
            )
        finally:
            await batch.close()

    async def _page(self, item: Item, found: Found, batch: Batch, began: float) -> ItemAnswer:
        if isinstance(found, Raw):
            return ItemAnswer(found)
        if isinstance(found, Order) and item.search:
            try:
                page = await fetch_page(item.search, found, BatchSender(batch, item.head))
                self._remembered.put(item.search, page.order)
                reply = build_reply(page.order, page.hits, took_ms=milliseconds_since(began))
                return ItemAnswer(reply, reranked=True, gone=len(page.order.gone))
            except Degraded as part:
                found = part
        batch = batch if batch.is_open else batch.another(1)
        came = Raw((await batch.ask(item.head, item.body, ours=False)).body)
        return ItemAnswer(came, failed=found if isinstance(found, Exception) else None)

    def _tell(self, items: Sequence[Item], answers: Sequence[ItemAnswer], left: int) -> None:
        """What was not reranked, in the log: now that the engine's own answers are there."""
        for item, answer in zip(items, answers, strict=True):
            if item.search and isinstance(answer.failed, Degraded):
                site = item.search.site
                self._complaints.add(site.name, site.may_repeat, answer.failed)
        self._complaints.add_left(left, len(items))

    def _compare(self, items: Sequence[Item], answers: Sequence[ItemAnswer], way: Batch) -> None:
        for item, answer in zip(items, answers, strict=True):
            if item.search and item.shadowed and isinstance(answer.reply, Raw):
                sender = BatchSender(way, item.head)
                self._shadows.begin(item.search, sender, self._remembered, BufferedReply(200, (), bytes(answer.reply)))


def outcome(answers: Sequence[ItemAnswer], left: int) -> str:
    """What was done, for the reply's header."""
    reranked = sum(answer.reranked for answer in answers)
    failed = sum(answer.failed is not None for answer in answers)
    counts = {"degraded": failed, "left": left, "gone": sum(answer.gone for answer in answers)}
    parts = [f"reranked;searches={reranked};of={len(answers)}", *(f"{name}={n}" for name, n in counts.items() if n)]
    return ";".join(parts)


async def _order(ordering: Ordering) -> Found:
    """The order; or why there is none, after which the search is asked for as it came."""
    try:
        return await ordering.find()
    except (Degraded, Refused, NotRecognised, ConnectorError) as error:
        return error


def _index_of(head: Any, target: Target) -> str | None:
    """The index that the line before a search names, or the URL; None where it says something that is not known."""
    if not isinstance(head, dict) or head.keys() - HEAD_KEYS:
        return None
    index = head.get("index", target.index)
    if isinstance(index, list) and all(isinstance(name, str) for name in index):
        return ",".join(index)
    return index if isinstance(index, str) else None


async def _as_came(batch: Batch, item: Item) -> Found:
    try:
        return Raw((await batch.ask(item.head, item.body, ours=False)).body)
    except ConnectorError as error:
        return error
