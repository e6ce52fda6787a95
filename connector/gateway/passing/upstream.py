"""The engine behind the gateway: a request goes there, and the connection on which its reply has begun comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connector.gateway.exchange import BufferedReply, BufferedRequest
from connector.gateway.passing.headers import (
    Pairs,
    has_host,
    reply_headers,
    request_head,
    with_host,
    without_framing,
)
from connector.gateway.passing.node_connection import ConnectionBroken, NodeConnection
from connector.gateway.passing.nodes import Node, Nodes

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# a POST to these changes nothing, so it may be sent again
SAFE_ENDPOINTS = frozenset((b"_search", b"_msearch", b"_count", b"_mget", b"_explain", b"_field_caps", b"_analyze"))
LENGTH_EXPECTED = frozenset({"POST", "PUT", "PATCH"})


class UpstreamEngine:
    """Fulfils `Upstream`; what passes through goes its ways too."""

    def __init__(self, nodes: Nodes, *, preserve_host: bool) -> None:
        self._nodes, self._preserve_host = nodes, preserve_host

    async def send(self, request: BufferedRequest) -> BufferedReply:
        headers = list(request.headers)
        if request.body or request.method in LENGTH_EXPECTED:
            headers.append((b"Content-Length", b"%d" % len(request.body)))
        target = request.raw_path + b"?" + request.query_string if request.query_string else request.raw_path
        node, connection = await self.ask(request.method, target, headers, request.body)
        with lent(node, connection):
            head = await connection.reply()
            parts = [await connection.read()]
            while not connection.is_whole:
                parts.append(await connection.read())
        return BufferedReply(head.status, without_framing(reply_headers(head.headers)), b"".join(parts))

    async def ask(
        self, method: str, target: bytes, headers: Pairs, body: bytes, *, is_chunked: bool = False
    ) -> tuple[Node, NodeConnection]:
        """A connection on which the reply has begun. `body` is framed already, by its length or in chunks.

        A connection that was kept may have been closed at its other end a moment ago: what changes nothing is then
        sent again. Raises UpstreamAway."""
        is_new = False
        while True:
            node, connection, was_used = await self.open(method, is_new=is_new)
            try:
                await connection.write(self.head(node, method, target, headers, is_chunked=is_chunked) + body)
                await connection.reply()
                return node, connection
            except ConnectionBroken as broken:
                connection.close()
                if not was_used or broken.has_begun or not is_safe(method, target):
                    raise
                is_new = True
            except BaseException:  # cancelled too: what comes belongs to nobody
                connection.close()
                raise

    async def open(self, method: str, *, is_new: bool = False) -> tuple[Node, NodeConnection, bool]:
        """A connection for such a request, and whether it was used before. Raises UpstreamAway."""
        node, connection, was_used = await self._nodes.open(is_new=is_new)
        connection.begin(is_head=method == "HEAD")
        return node, connection, was_used

    def head(self, node: Node, method: str, target: bytes, headers: Pairs, *, is_chunked: bool) -> bytes:
        if not self._preserve_host or not has_host(headers):
            headers = with_host(headers, node.host_header)
        return request_head(method, node.prefix + target, headers, is_chunked=is_chunked)

    def close(self) -> None:
        self._nodes.close()


@contextmanager
def lent(node: Node, connection: NodeConnection) -> Iterator[None]:
    """The connection goes back to its node at the end; it is closed where its reply was not read to the end."""
    try:
        yield
    finally:
        node.give_back(connection)


def is_safe(method: str, target: bytes) -> bool:
    """Whether the request may be sent twice."""
    if method in SAFE_METHODS:
        return True
    return method == "POST" and target.partition(b"?")[0].rpartition(b"/")[2] in SAFE_ENDPOINTS
