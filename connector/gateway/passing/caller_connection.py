"""A caller's connection: bytes to requests, replies to bytes. Uvicorn's server part runs it, in place of its own.

Uvicorn's own protocol makes header names lower-case, cuts the target up, has no limit for a head, drops the body of a
request that offers an upgrade, and lets a request without a Host through. Here the bytes stay as they are."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httptools

from connector.gateway.passing.caller_request import CallerRequest
from connector.gateway.passing.checks import check_head
from connector.gateway.passing.refusals import GatewayRefusal, malformed

HIGH_WATER_BYTES = 65_536  # of a body that nobody has taken yet
HEAD_S = 60.0  # for the rest of a head whose beginning is here
LINGER_S = 2.0  # for a caller who still sends what is not read, until the reply has reached them
KEEP_ALIVE_S = 650.0  # longer than what stands in front (a load balancer has 600 s at most) keeps one


class _ParserStopped(Exception):
    """Ends the parser's run."""


class CallerConnection(asyncio.Protocol):
    """Requests of a connection, one after the other; pipelined ones wait. One whose caller goes away is cancelled."""

    def __init__(
        self, config: Any, server_state: Any, app_state: Any, _loop: Any = None, *, max_header_bytes: int
    ) -> None:
        self._app = config.loaded_app
        self._server = server_state
        self._max_header_bytes = max_header_bytes
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._current: CallerRequest | None = None  # what is being answered
        self._incoming: CallerRequest | None = None  # what is being read
        self._waiting: deque[CallerRequest] = deque()
        self._refusal: GatewayRefusal | None = None
        self._is_over = False  # nothing more is read
        self._idle: asyncio.TimerHandle | None = None
        self._in_head, self._head_bytes = True, 0
        self.on_message_begin()

    # of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._server.connections.add(self)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self.can_write = asyncio.Event()
        self.can_write.set()
        self._rest_for(KEEP_ALIVE_S)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._in_head:
            if not self._head_bytes:
                self._rest_for(None)
            self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or malformed("this is no HTTP/1.1 request"))
            return
        if self._in_head and self._head_bytes:
            if self._head_bytes > self._max_header_bytes:
                self._refuse(self._too_long())
            elif self._idle is None and self._current is None:
                self._rest_for(HEAD_S)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Whoever offers another protocol gets HTTP/1.1, as from the engines. The parser has read no body.
            self._parser = httptools.HttpRequestParser(self)
            if self._incoming is not None:
                self._parser.feed_data(b"POST / HTTP/1.1\r\n" + self._incoming.framing + b"\r\n\r\n")
            rest = data[upgrade.args[0] :]
            if rest:
                self._feed(rest)

    def eof_received(self) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._is_over = True
        self._rest_for(None)
        self._waiting.clear()
        self.can_write.set()
        if self._current is not None:
            self._current.caller_left()
        self._current = self._incoming = None
        del self._parser  # it and these hold this connection: without them, memory is free at once

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def shutdown(self) -> None:
        """The server stops: what is under way is answered, then the connection ends."""
        if self._current is None:
            self.transport.close()
        else:
            self._current.keep_alive = False

    # of the parser

    def on_message_begin(self) -> None:
        if self._incoming is None:
            self._target, self._headers, self._counted_bytes = b"", list[tuple[bytes, bytes]](), 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if self._incoming is None:  # else it is a trailer, which goes no further
            self._headers.append((name, value))

    def _count(self, read: int) -> None:
        self._counted_bytes += read
        if self._counted_bytes > self._max_header_bytes:
            self._refusal = self._too_long()
            raise _ParserStopped

    def _too_long(self) -> GatewayRefusal:
        reason = f"the head of the request is longer than {self._max_header_bytes} bytes (gateway.max_header_bytes)"
        return GatewayRefusal(431, "gateway_head_too_long", reason)

    def on_headers_complete(self) -> None:
        if self._incoming is not None:
            return  # what stands for the head of a request that offered an upgrade
        self._in_head = False
        if self._idle is not None:
            self._rest_for(None)
        parser = self._parser
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        self._refusal = check_head(method, self._target, version, self._headers)
        if self._refusal is not None:
            raise _ParserStopped
        keep_alive = version == "1.1" and not _asks_to_close(self._headers)
        request = CallerRequest(self, method, self._target, version, self._headers, keep_alive=keep_alive)
        self._incoming = request
        if self._current is None:
            self._start(request)
        else:
            self.transport.pause_reading()
            self._waiting.append(request)

    def on_body(self, body: bytes) -> None:
        if self._incoming is not None and self._incoming.add_body(body) > HIGH_WATER_BYTES:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        incoming = self._incoming
        if incoming is None or (incoming.has_body and self._parser.should_upgrade()):
            return
        self._incoming = None
        self._in_head, self._head_bytes = True, 0
        incoming.end_body()

    # of the requests

    def _start(self, request: CallerRequest) -> None:
        self._current = request
        task = request.task = self._loop.create_task(request.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        task.add_done_callback(request.ended)

    def replied(self, request: CallerRequest) -> None:
        """The reply is whole; the next request may begin."""
        self._server.total_requests += 1
        self._current = None
        if self.transport.is_closing():
            return
        is_sending = self._is_over or self._incoming is request
        if not request.keep_alive or (self._is_over and not self._waiting):
            if is_sending:
                self._end_while_sending()
            else:
                self.transport.close()
            return
        self.transport.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._rest_for(KEEP_ALIVE_S)

    def _refuse(self, refusal: GatewayRefusal) -> None:
        """Nothing that follows can be trusted. What was asked before is answered first."""
        self._is_over = True
        incoming, self._incoming = self._incoming, None
        if incoming is not None and incoming is self._current:
            incoming.break_off(refusal)
        elif incoming is not None and incoming in self._waiting:
            self._waiting.remove(incoming)
        elif self._current is None:
            if incoming is None:  # else it has its reply: the engine did not wait for the end of its body
                self.transport.write(refusal.message())
            self._end_while_sending()

    def _end_while_sending(self) -> None:
        """Close once the caller has, or after LINGER_S, and drop what still comes: to close a connection with bytes
        that nobody has read resets it, and a reply that is under way is lost with it."""
        self._is_over = True
        if self.transport.can_write_eof():  # not with TLS
            self.transport.write_eof()
        self.transport.resume_reading()
        self._rest_for(LINGER_S)

    def _rest_for(self, seconds: float | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None if seconds is None else self._loop.call_later(seconds, self.transport.close)


def _asks_to_close(headers: list[tuple[bytes, bytes]]) -> bool:
    values = [value.lower() for name, value in headers if len(name) == 10 and name.lower() == b"connection"]
    return any(token.strip() == b"close" for value in values for token in value.split(b","))
