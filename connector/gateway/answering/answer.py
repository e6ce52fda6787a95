"""One recognised `_search`, answered: its order, its page, its reply."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from connector.gateway.answering.filter_path import read_filter
from connector.gateway.answering.page import build_reply, fetch_page
from connector.gateway.answering.pretty import indent
from connector.gateway.exchange import BufferedReply, Headers
from connector.gateway.ordering.order import Degraded, Order, Ordering, RecognisedSearch
from connector.gateway.ordering.remembered import RememberedOrders
from connector.gateway.ordering.sender import Sender
from connector.gateway.reading.coding import coding_of, encoded
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import Parameters
from connector.gateway.reading.raw_json import write


@dataclass(frozen=True, slots=True)
class AnsweredPage:
    """A reply, still in parts, and the order that it is a page of."""

    reply: dict[str, Any]
    order: Order
    headers: Headers


async def answer_search(search: RecognisedSearch, sender: Sender, remembered: RememberedOrders) -> AnsweredPage:
    """The page. Raises NotRecognised, Degraded, Refused, UpstreamAway."""
    began = time.monotonic()
    known = remembered.get(search)
    try:
        async with asyncio.timeout(search.site.deadline_s):
            page = await fetch_page(search, known or await Ordering(search, sender).find(), sender)
    except TimeoutError:
        raise Degraded("deadline") from None
    remembered.put(search, page.order)
    # of an order that is remembered the headers would be those of another request
    headers = page.order.lexical.headers
    if known and page.headers is not None:
        headers = (*page.headers, *coding_of(headers))
    reply = build_reply(page.order, page.hits, took_ms=milliseconds_since(began))
    return AnsweredPage(reply, page.order, headers)


def milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def check_filter_path(parameters: Parameters, *path: str) -> None:
    """Nothing, where `filter_path` leaves something of the hits. Raises NotRecognised: else nothing is to be done."""
    if not read_filter(parameters.filter_path).shows(*path, "hits", "hits"):
        raise NotRecognised("filter_path without hits")


async def write_reply(
    reply: dict[str, Any], headers: Headers, parameters: Parameters, *, is_elasticsearch: bool
) -> BufferedReply:
    """The reply as it is sent: filtered and indented where the caller asks for it, and coded as its headers say."""
    chosen = read_filter(parameters.filter_path, keeps_empty=is_elasticsearch)
    body = write(reply if chosen.shows_all else chosen.apply(reply))
    return await encoded(BufferedReply(200, headers, indent(body) if parameters.pretty else body))
