"""Content codings: which of them the engine would choose for a caller, and a reply taken out of one or put into it.

Whether the engine compresses at all is its own setting, and off by default where it speaks TLS. So it is asked as the
caller would ask, and a reply of ours is coded where the engine's was."""

from __future__ import annotations

import asyncio
import zlib

from connector.errors import ClusterError
from connector.gateway.exchange import BufferedReply, Headers

ACCEPTED, USED = b"accept-encoding", b"content-encoding"
BITS = {b"gzip": 31, b"deflate": 15}  # for zlib: which frame is around the bytes
LEVEL = 3  # of the engines, by default
OTHERS = (b"br", b"zstd", b"snappy")  # looked for before ours
IN_THREAD_BYTES = 262_144  # from here on it takes long enough to hold up others


def chosen_coding(headers: Headers) -> bytes:
    """What the engines choose by `Accept-Encoding`: `gzip`, `deflate`, or nothing, also where it is another.

    Both engines have it from Netty: a name counts wherever it occurs, in small letters, by the best of its weights;
    none of it is written so in RFC 9110."""
    weights: dict[bytes, float] = {}
    pieces = (piece for name, value in headers if name.lower() == ACCEPTED for piece in value.split(b","))
    for piece in pieces:
        name = next((coding for coding in (b"*", *OTHERS, *BITS) if coding in piece), None)
        if name is not None:
            weights[name] = max(weights.get(name, -1.0), _weight(piece))
    gzip, deflate = weights.get(b"gzip", -1.0), weights.get(b"deflate", -1.0)
    if weights.get(b"snappy", -1.0) >= max(gzip, deflate, 0.0):
        return b""
    if gzip >= deflate and gzip > 0:
        return b"gzip"
    return b"deflate" if deflate > 0 else b""


def with_accepted(headers: Headers, coding: bytes) -> Headers:
    """The headers of a request whose reply may be in that coding."""
    return (*headers, (b"Accept-Encoding", coding)) if coding else headers


def coding_of(headers: Headers) -> Headers:
    """The header that says how a body is coded; nothing where it is not."""
    return tuple(pair for pair in headers if pair[0].lower() == USED)


def decoded(reply: BufferedReply) -> BufferedReply:
    """The same reply without its coding. Raises ClusterError."""
    coding = coding_of(reply.headers)
    if not coding:
        return reply
    try:
        body = zlib.decompress(reply.body, BITS[coding[0][1].lower()])
    except (zlib.error, KeyError) as error:
        raise ClusterError("the engine's reply is in a coding that was not asked for") from error
    return BufferedReply(reply.status, _without(reply.headers), body)


async def encoded(reply: BufferedReply) -> BufferedReply:
    """The reply, whose body is plain yet, in the coding that its headers name."""
    coding = coding_of(reply.headers)
    if not coding:
        return reply
    bits = BITS[coding[0][1].lower()]
    if len(reply.body) < IN_THREAD_BYTES:
        body = zlib.compress(reply.body, LEVEL, bits)
    else:
        body = await asyncio.to_thread(zlib.compress, reply.body, LEVEL, bits)
    return BufferedReply(reply.status, reply.headers, body)


def _without(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() != USED)


def _weight(piece: bytes) -> float:
    _, equals, weight = piece.partition(b"=")
    if not equals:
        return 1.0
    try:
        return float(weight)
    except ValueError:
        return 0.0
