"""The nodes of the cluster and the open connections to them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from connector.gateway.exchange import UpstreamAway
from connector.gateway.passing.node_connection import NodeConnection

MAX_IDLE = 256  # connections of a node that are kept for later
MAX_IDLE_S = 30.0  # what lies between may forget a connection that is idle for longer
AVOID_S = 3.0  # a node that could not be reached is asked last for as long
# a node that is gone without a word is noticed; a reply may take hours
TCP_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
log = logging.getLogger(__name__)


class ConnectTimeout(UpstreamAway):
    """No node took the connection in time."""


class Node:
    """One address of the cluster."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.prefix = parts.path.rstrip("/").encode()
        self.host_header = parts.netloc.encode()
        self.avoid_until = 0.0  # of time.monotonic
        self._tls = tls if parts.scheme == "https" else None
        self._timeout_s = timeout_s
        self._idle: deque[NodeConnection] = deque()

    def take_idle(self) -> NodeConnection | None:
        """An open connection that nobody uses; the last used first, so that a burst's others grow old and go."""
        oldest = time.monotonic() - MAX_IDLE_S
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_lost and not connection.transport.is_closing():
                return connection
        return None

    async def connect(self) -> NodeConnection:
        """A new connection. Raises ConnectTimeout or UpstreamAway."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(
                    lambda: NodeConnection(self.url), self.host, self.port, ssl=self._tls
                )
        except TimeoutError:
            raise ConnectTimeout(f"{self.url} took no connection within {self._timeout_s:g} s") from None
        except OSError as error:
            raise UpstreamAway(f"no connection to {self.url} ({error.strerror or error})") from error
        _notice_silence(connection.transport)
        return connection

    def give_back(self, connection: NodeConnection) -> None:
        """Keep it for the next request, where its exchange has come to a clean end."""
        if not connection.can_be_kept or not connection.is_whole or len(self._idle) >= MAX_IDLE:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Nodes:
    """All nodes, each in its turn."""

    def __init__(self, urls: Sequence[str], tls: ssl.SSLContext | None, *, connect_timeout_s: float) -> None:
        self._nodes = [Node(url, tls, connect_timeout_s) for url in urls]
        self._turn = 0

    def in_turn(self) -> Iterator[Node]:
        """Each node once, the next one first; those that could not be reached a moment ago come last."""
        if len(self._nodes) == 1:
            yield self._nodes[0]
            return
        self._turn = (self._turn + 1) % len(self._nodes)
        nodes, now = self._nodes[self._turn :] + self._nodes[: self._turn], time.monotonic()
        yield from sorted(nodes, key=lambda node: node.avoid_until > now)

    async def open(self, *, is_new: bool) -> tuple[Node, NodeConnection, bool]:
        """A connection to the first node that can be reached, and whether it was used before; `is_new`: it must not
        have been. Raises ConnectTimeout or UpstreamAway where none can."""
        failure = UpstreamAway("no node of the cluster is known")
        for node in self.in_turn():
            idle = None if is_new else node.take_idle()
            if idle is not None:
                return node, idle, True
            try:
                connection = await node.connect()
            except UpstreamAway as error:
                failure, now = error, time.monotonic()
                if node.avoid_until < now - AVOID_S:  # not for each request of a long absence
                    log.warning("%s", error)
                node.avoid_until = now + AVOID_S
            else:
                node.avoid_until = 0.0
                return node, connection, False
        raise failure

    def close(self) -> None:
        for node in self._nodes:
            node.close()


def _notice_silence(transport: asyncio.Transport) -> None:
    found = transport.get_extra_info("socket")
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_KEEPALIVE:
        if hasattr(socket, name):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
