"""What a reply says of itself in the header `X-Rerank`; nothing foreign stands in its body."""

from __future__ import annotations

import re

from connector.gateway.exchange import RERANK_HEADER, RERANK_KEY, BufferedReply, Headers
from connector.gateway.ordering.order import Order

ALLOW_ORIGIN, EXPOSE = b"access-control-allow-origin", b"access-control-expose-headers"


def reranked(order: Order) -> str:
    """Of a page of an order."""
    mode = "bounded" if order.bounded else "union"
    stages = f";stages={','.join(order.stages)}" if order.stages else ""
    gone = f";gone={len(order.gone)}" if order.gone else ""
    return f"reranked;window={len(order.window)};mode={mode}{stages}{gone}"


def degraded(reason: str) -> str:
    """Of the engine's own answer, given since a part of ours failed."""
    return f"degraded;reason={word(reason)}"


def passed(reason: str) -> str:
    """Of the engine's own answer."""
    return f"passed;reason={word(reason)}"


def with_outcome(reply: BufferedReply, outcome: str) -> BufferedReply:
    """The reply, saying so; pages of other origins may read it where they may read the reply."""
    headers: Headers = tuple(pair for pair in reply.headers if pair[0].lower() != RERANK_KEY)
    if any(key.lower() == ALLOW_ORIGIN for key, _ in headers):
        exposed = next((value for key, value in headers if key.lower() == EXPOSE), b"")
        headers = tuple(pair for pair in headers if pair[0].lower() != EXPOSE)
        headers += ((b"Access-Control-Expose-Headers", b", ".join(filter(None, (exposed, RERANK_HEADER)))),)
    return BufferedReply(reply.status, (*headers, (RERANK_HEADER, outcome.encode("ascii", "replace"))), reply.body)


def word(reason: str) -> str:
    """A reason as it stands in the header."""
    return re.sub(r"[^A-Za-z0-9_.,:-]+", "-", reason).strip("-")[:80]
