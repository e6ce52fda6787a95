"""One request of a caller and its reply: an ASGI application on one side, the connection on the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from connector.gateway.passing.headers import LAST_CHUNK, NO_BODY, chunk, status_line
from connector.gateway.passing.refusals import GatewayRefusal

if TYPE_CHECKING:
    from connector.gateway.passing.caller_connection import CallerConnection

CallerMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[CallerMessage]]
Send = Callable[[CallerMessage], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]
STOPPING = GatewayRefusal(503, "gateway_stopping", "the gateway is stopping; try again")
BROKEN = GatewayRefusal(500, "gateway_fault", "the gateway failed at this request; its log says why")
log = logging.getLogger(__name__)


class CallerRequest:
    """What the scope's extension `gateway` is: the request with its bytes as they came."""

    def __init__(
        self,
        connection: CallerConnection,
        method: str,
        target: bytes,
        version: str,
        headers: list[tuple[bytes, bytes]],
        *,
        keep_alive: bool,
    ) -> None:
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.keep_alive = keep_alive
        self.peer = connection.peer
        self.task: asyncio.Task[None] | None = None
        self.length: int | None = None  # of the body, where the caller says it
        self.is_chunked = False
        self._expects_continue = False
        for name, value in headers:
            match name.lower():
                case b"content-length":
                    self.length = int(value)
                case b"transfer-encoding":
                    self.is_chunked = True
                case b"expect" if value.lower() == b"100-continue":
                    self._expects_continue = version == "1.1"
        self._connection = connection
        self._body, self._is_whole, self._has_left = bytearray(), False, False
        self._waiter: asyncio.Future[None] | None = None
        self._refusal: GatewayRefusal | None = None
        self._has_started, self._is_replied = False, False
        self._left_bytes: int | None = None  # of a reply whose length is known

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.length)

    @property
    def framing(self) -> bytes:
        return b"transfer-encoding: chunked" if self.is_chunked else b"content-length: %d" % (self.length or 0)

    # what the connection reads

    def add_body(self, data: bytes) -> int:
        """How many bytes nobody has taken yet."""
        if self._is_replied:
            return 0  # the engine has answered without them
        self._body += data
        self._wake()
        return len(self._body)

    def end_body(self) -> None:
        self._is_whole = True
        self._wake()

    def caller_left(self) -> None:
        self._has_left = True
        self._wake()
        if self.task is not None and not self._is_replied:
            self.task.cancel()

    def break_off(self, refusal: GatewayRefusal) -> None:
        """The rest of the body is none: the reply is this refusal, unless another has begun."""
        self.keep_alive = False
        if self.task is not None:
            self._refusal = refusal
            self.task.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # what the application does

    async def run(self, app: App) -> None:
        await app(self._scope(), self.receive, self.send)

    def ended(self, task: asyncio.Task[None]) -> None:
        """The application has come to its end, or was ended."""
        if task.cancelled():
            self._give_up(self._refusal or STOPPING)
        elif (fault := task.exception()) is not None:
            log.error("a fault of the gateway", exc_info=fault)
            self._give_up(BROKEN)
        elif not self._is_replied:
            self._give_up(BROKEN)
        self.task = None  # which holds this request: without that, memory is free at once

    def _scope(self) -> dict[str, Any]:
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "scheme": "https" if self._connection.is_tls else "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": (self.peer, 0),
            "server": None,
            "extensions": {"gateway": self},
        }

    async def receive(self) -> CallerMessage:
        connection = self._connection
        if self._expects_continue and not self._has_started and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
        if not self._body and not self._is_whole and not self._has_left:
            connection.transport.resume_reading()
            await self._wait()
        if self._has_left or self._is_replied:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def send(self, message: CallerMessage) -> None:
        """Beside what ASGI says, the first message may have `reason`, the words behind the status."""
        connection = self._connection
        if not connection.can_write.is_set():
            await connection.can_write.wait()
        if self._has_left:
            return
        if message["type"] == "http.response.start":
            connection.transport.write(self._head(message))
            return
        more, data = message.get("more_body", False), message.get("body", b"")
        written = self._framed(data, more)
        if written:
            connection.transport.write(written)
        if not more:
            self._finish()

    def _head(self, message: CallerMessage) -> bytes:
        status, headers, is_chunked, length = message["status"], message["headers"], False, None
        lines = [status_line(status, message.get("reason", b""))]
        for pair in headers:
            name = pair[0].lower()
            if name == b"content-length":
                length = int(pair[1])
            elif name == b"transfer-encoding":
                if self.version == "1.0":
                    continue
                is_chunked = True
            lines.append(b"%s: %s\r\n" % pair)
        self._has_started = True
        self._writes_chunks = is_chunked
        self._left_bytes = 0 if self.method == "HEAD" or status in NO_BODY else length
        if self._left_bytes is None and not is_chunked:
            if self.version == "1.1":
                lines.append(b"Transfer-Encoding: chunked\r\n")
                self._writes_chunks = True
            else:
                self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _framed(self, data: bytes, more: bool) -> bytes:
        if self._left_bytes is not None:
            data = data[: self._left_bytes] if len(data) > self._left_bytes else data
            self._left_bytes -= len(data)
            return data
        if not self._writes_chunks:
            return data
        framed = chunk(data) if data else b""
        return framed if more else framed + LAST_CHUNK

    def _finish(self) -> None:
        if self._left_bytes:  # shorter than was said: the caller must see that
            self.keep_alive = False
        self._is_replied = True
        self._body.clear()
        self._connection.replied(self)

    @property
    def has_started(self) -> bool:
        """Whether some of the reply is on its way."""
        return self._has_started

    def cut_off(self) -> None:
        """The reply cannot be had to its end, and the caller must see that."""
        self._give_up(BROKEN)

    def _give_up(self, refusal: GatewayRefusal) -> None:
        """The refusal where no reply has begun; else the connection is cut off, so that the caller sees it."""
        if self._is_replied or self._has_left:
            return
        self.keep_alive, self._is_replied = False, True
        if not self._has_started:
            self._connection.transport.write(refusal.message(is_head=self.method == "HEAD"))
        else:
            self._connection.transport.abort()
        self._connection.replied(self)
