"""Orders that are remembered for a moment, so that the next page costs little and fits the one before.

The first page is always found anew. What is remembered serves only who asked, by the same credentials: the page itself
is fetched with the caller's own in any case."""

from __future__ import annotations

import hashlib

from cachetools import TTLCache

from connector.gateway.ordering.order import Order, RecognisedSearch
from connector.gateway.reading.body import PAGE
from connector.gateway.reading.parameters import PAGE as PAGE_PARAMETERS
from connector.gateway.reading.who_asks import who_asks

KEPT_S = 30.0
MAX_BYTES = 64_000_000


class RememberedOrders:
    """The last orders, by all that they depend on."""

    def __init__(self) -> None:
        self._orders: TTLCache[str, Order] = TTLCache(MAX_BYTES, KEPT_S, getsizeof=_size)

    def get(self, search: RecognisedSearch) -> Order | None:
        """The order of the same search, for a page after the first."""
        if not search.body.start or search.wishes.fresh:
            return None
        return self._orders.get(_key(search))

    def put(self, search: RecognisedSearch, order: Order) -> None:
        """Remember it. One that no reranker saw, for a page far behind, is not what the first page shows."""
        if (search.body.start < search.site.reranked or not search.site.reranked) and _size(order) <= MAX_BYTES:
            self._orders[_key(search)] = order


def _key(search: RecognisedSearch) -> str:
    body = search.body
    parts = sorted((name, bytes(part)) for name, part in body.parts.items() if name not in PAGE)
    written = [pair for pair in search.parameters.written if pair[0] not in PAGE_PARAMETERS]
    known = (who_asks(search.headers), search.named, search.bounded, search.wishes.pipeline)
    content = repr((known, bytes(body.query), parts, written, search.within, search.coding))
    return hashlib.sha256(content.encode()).hexdigest()


def _size(order: Order) -> int:
    raw = sum(len(bytes(part)) for part in (*order.lexical.top.values(), *order.lexical.hits.values()))
    return raw + 200 * (len(order.window) + len(order.lexical.doc_ids)) + 1_000
