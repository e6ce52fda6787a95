"""A gateway in a thread of this process, an engine of bytes behind it, and a caller that writes raw ones."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from support.parts import running_in_thread

from connector.gateway.exchange import Interceptor
from connector.gateway.serve import build_server
from connector.listening import bind
from connector.settings.sections import Settings

WAIT_S = 120.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HOST = b"Host: h\r\n"
SMALL = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass
class RunningGateway:
    """Where it listens."""

    port: int
    end: ExitStack
    tls: ssl.SSLContext | None = None

    def stop(self) -> None:
        """As SIGTERM does it; returns when nothing listens any more. Twice is no error."""
        self.end.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, data: bytes, *, is_head: bool = False) -> bytes:
        """What comes back for these bytes: one reply, or what there is when the connection ends."""
        with self.connect() as caller:
            caller.sendall(data)
            return read_reply(caller, is_head=is_head)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        return self.tls.wrap_socket(connection, server_hostname="localhost") if self.tls else connection


@contextmanager
def running_gateway(
    *urls: str,
    interceptor: Interceptor | None = None,
    tls: ssl.SSLContext | None = None,
    others: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Iterator[RunningGateway]:
    """A gateway in front of these nodes; `settings` are those of its section, `others` other sections. `tls`: what a
    caller trusts, where it serves https."""
    listener = bind("127.0.0.1", 0, choose="gateway.port")
    own = {"upstream": urls, "drain_s": 1, "connect_timeout_s": WAIT_S, **settings}
    given = Settings.model_validate({"gateway": own, **(others or {})})

    async def opened(*_: object) -> Interceptor | None:
        return interceptor

    with ExitStack() as end:
        port = end.enter_context(running_in_thread(build_server(given, opened), listener))
        running = RunningGateway(port, end, tls)
        assert b" 200 OK" in running.ask(b"GET /_gateway/health HTTP/1.1\r\nHost: h\r\n\r\n")
        yield running


@dataclass
class ByteEngine:
    """Answers every request with `reply`, bytes or what makes them of the request's; None closes the connection. `seen`
    has what came."""

    reply: bytes | Callable[[bytes], bytes | None] = OK
    closes: bool = False  # after each reply
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)  # a connection was closed at the other end
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[ByteEngine]:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        held: list[socket.socket] = []
        thread = threading.Thread(target=self._accept, args=(listener, held), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(WAIT_S)  # after which no connection comes to those that are held
            for connection in held:
                with suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self, listener: socket.socket, held: list[socket.socket]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            held.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while request := read_request(connection):
                self.seen.append(request)
                reply = self.reply(request) if callable(self.reply) else self.reply
                connection.sendall(reply or b"")
                if self.closes or reply is None:
                    connection.close()
                    return
        except OSError:
            pass
        self.ended.set()


def read_request(connection: socket.socket) -> bytes:
    """One request, whole; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return b""
        data += more
    return _read_body(connection, data)


def ask_port(port: int, request: bytes = SMALL) -> bytes:
    """The reply to a request of whoever listens on a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as caller:
        caller.sendall(request)
        return read_reply(caller)


def read_reply(connection: socket.socket, *, is_head: bool = False) -> bytes:
    """One reply, whole, without the interim ones before it; what there is where the connection ends."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return data
        data += more
    if is_head or data.startswith((b"HTTP/1.1 100", b"HTTP/1.1 204", b"HTTP/1.1 304")):
        return data
    return _read_body(connection, data, until_close=True)


def _read_body(connection: socket.socket, data: bytes, *, until_close: bool = False) -> bytes:
    head = data[: data.index(b"\r\n\r\n") + 2]
    length = _LENGTH.search(head)
    if _CHUNKED.search(head):
        is_whole: Callable[[bytes], bool] = lambda data: data.endswith(b"0\r\n\r\n")  # noqa: E731
    elif length:
        is_whole = lambda data: len(data) >= len(head) + 2 + int(length[1])  # noqa: E731
    else:
        is_whole = lambda data: not until_close  # noqa: E731
    while not is_whole(data):
        more = connection.recv(65_536)
        if not more:
            break
        data += more
    return data
