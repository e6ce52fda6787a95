"""A connection to a node of the cluster: one exchange after the other, bytes as they are.

Written on the parser that the server part has. aiohttp's client sends header values as UTF-8, so that a Latin-1 one
comes out doubled, and takes .1 ms more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httptools

from connector.gateway.exchange import UpstreamAway
from connector.gateway.passing.headers import NO_BODY

HIGH_WATER_BYTES = 262_144  # of a reply that nobody has taken yet
# An engine that could not read a request, as one with a head that is too long for it, says so and reads nothing more
# from that connection, which it leaves open (seen on Elasticsearch 9.3 and OpenSearch 3.6).
LAST_OF_CONNECTION = frozenset({400, 413, 414, 417, 431})


@dataclass(slots=True)
class ReplyHead:
    """The beginning of a reply, with the engine's own words behind the status."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class ConnectionBroken(UpstreamAway):
    """The connection ended before the reply was whole; `has_begun`: some of it had come."""

    def __init__(self, where: str, *, has_begun: bool) -> None:
        super().__init__(f"the connection to {where} broke {'within' if has_begun else 'before'} its reply")
        self.has_begun = has_begun


class _NothingAsked(Exception):
    """Ends the parser's run."""


class NodeConnection(asyncio.Protocol):
    """`begin`, `write`, then `reply` and `read` to the end; after that it may be used again."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self.is_lost = False
        self.idle_since = 0.0
        self.begin(is_head=False)
        self._is_whole = True  # nothing is asked yet

    def begin(self, *, is_head: bool) -> None:
        """The next exchange; `is_head`: its reply has no body."""
        self._is_head = is_head
        self._head: ReplyHead | None = None
        self._status_words, self._headers = b"", list[tuple[bytes, bytes]]()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.has_begun, self._is_whole, self._is_interim, self._ends_with_connection = False, False, False, False
        self.can_be_kept = True

    @property
    def is_whole(self) -> bool:
        """Whether the reply has come to its end, taken or not."""
        return self._is_whole

    # of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._is_whole:  # nothing was asked: what comes belongs to nobody
            self.close()
            return
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
            self._lose()
            return
        if self._is_whole and self._needs_parser:
            self._parser = httptools.HttpResponseParser(self)

    def eof_received(self) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._ends_with_connection and self._head is not None:
            self._is_whole = True
        self._lose()
        del self._parser  # which holds this connection: without that, memory is free at once

    def _lose(self) -> None:
        self.is_lost, self.can_be_kept = True, False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._wake()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # of the parser

    def on_message_begin(self) -> None:
        if self._is_whole:  # behind the reply, in the same bytes
            raise _NothingAsked

    def on_status(self, words: bytes) -> None:
        self._status_words += words

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # else it is a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._is_interim = True
            return
        self._head = ReplyHead(status, self._status_words, self._headers)
        self.can_be_kept = self._parser.should_keep_alive() and status not in LAST_OF_CONNECTION
        self._needs_parser = self._is_head or status in NO_BODY
        if self._needs_parser:
            self._is_whole = True
        elif not self._parser.should_keep_alive():
            names = {name.lower() for name, _ in self._headers}
            self._ends_with_connection = not names & {b"content-length", b"transfer-encoding"}
        self._wake()

    def on_body(self, body: bytes) -> None:
        if self._is_whole:  # the body of a reply that has none
            self.can_be_kept = False
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > HIGH_WATER_BYTES:
            self.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim, self._status_words, self._headers = False, b"", []
            return
        self._is_whole = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # of who asks

    async def write(self, data: bytes) -> None:
        """Waits while the node takes no more."""
        if self.is_lost:
            raise ConnectionBroken(self._where, has_begun=self.has_begun)
        self.transport.write(data)
        if self._writable is not None:
            await self._writable
            if self.is_lost:
                raise ConnectionBroken(self._where, has_begun=self.has_begun)

    async def reply(self) -> ReplyHead:
        """The beginning of the reply. Raises ConnectionBroken."""
        while self._head is None:
            if self.is_lost:
                raise ConnectionBroken(self._where, has_begun=self.has_begun)
            await self._wait()
        return self._head

    async def read(self) -> bytes:
        """What has come of the body; empty at its end. Raises ConnectionBroken."""
        while not self._body and not self._is_whole:
            if self.is_lost:
                raise ConnectionBroken(self._where, has_begun=True)
            await self._wait()
        parts, self._body = self._body, []
        if self._body_bytes > HIGH_WATER_BYTES and not self.is_lost:
            self.transport.resume_reading()
        self._body_bytes = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        """At once: what is under way is of no use to anybody."""
        self.can_be_kept = False
        self.transport.abort()
