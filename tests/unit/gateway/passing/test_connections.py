"""Connections of callers and to the engine: clean, held back where the other side is slow, and ended when they must."""

from __future__ import annotations

import socket
import threading

import pytest
from support.gateway.gateways import HOST, OK, SMALL, WAIT_S, ByteEngine, RunningGateway, read_reply, running_gateway
from support.parts import wait_until
from support.servers.held_back import one_connection


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_an_offered_upgrade_is_answered_in_http_1_1(body: bytes, gateway: RunningGateway, engine: ByteEngine) -> None:
    """Java's client offers HTTP/2 with its first request."""
    headers = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\nContent-Length: %d\r\n\r\n"
    )
    with gateway.connect() as caller:
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + headers % len(body) + body + SMALL)
        replies = read_reply(caller)
        while replies.count(b"ok") < 2:
            replies += caller.recv(1_000)

    length = b"Content-Length: %d\r\n" % len(body)
    assert engine.seen[0] == b"POST /b HTTP/1.1\r\n" + HOST + length + b"x-forwarded-for: 127.0.0.1\r\n\r\n" + body
    assert replies == OK * 2


def test_a_chunked_body_behind_an_offered_upgrade_is_read(gateway: RunningGateway, engine: ByteEngine) -> None:
    headers = b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    gateway.ask(b"POST /b HTTP/1.1\r\n" + HOST + headers)

    assert engine.seen[-1].endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


def test_pipelined_requests_are_answered_in_their_order(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + request[5:7]
    with gateway.connect() as caller:
        caller.sendall(b"".join(b"GET /%02d HTTP/1.1\r\n" % number + HOST + b"\r\n" for number in range(50)))
        replies = b""
        while replies.count(b"HTTP/1.1") < 50 or not replies.endswith(b"49"):
            replies += caller.recv(10_000)

    assert [reply[-2:] for reply in replies.split(b"HTTP/1.1 200 OK")[1:]] == [b"%02d" % at for at in range(50)]


def test_who_waits_for_100_continue_gets_it_from_us(gateway: RunningGateway, engine: ByteEngine) -> None:
    with gateway.connect() as caller:
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        interim = caller.recv(1_000)
        caller.sendall(b"abc")
        reply = read_reply(caller)

    assert (interim, reply) == (b"HTTP/1.1 100 Continue\r\n\r\n", OK)
    assert b"xpect" not in engine.seen[-1]


def test_another_expectation_is_the_engines_to_refuse(gateway: RunningGateway, engine: ByteEngine) -> None:
    gateway.ask(b"GET /b HTTP/1.1\r\n" + HOST + b"Expect: something\r\n\r\n")

    assert b"Expect: something\r\n" in engine.seen[-1]


def test_http_1_0_gets_no_chunks_and_an_end(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    assert gateway.ask(b"GET / HTTP/1.0\r\n\r\n") == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"


def test_who_wants_to_close_is_told_so(gateway: RunningGateway) -> None:
    with gateway.connect() as caller:
        caller.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Close\r\n\r\n")
        reply = read_reply(caller)
        rest = caller.recv(10)

    assert b"\r\nconnection: close\r\n" in reply
    assert rest == b""


def test_the_engine_may_refuse_a_body_before_it_is_whole(gateway: RunningGateway, engine: ByteEngine) -> None:
    refused = b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        connection.recv(10)
        connection.sendall(refused)
        connection.recv(1)  # and leaves the rest unread
        held.append(connection)

    held: list[socket.socket] = []
    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    with running_gateway(f"http://127.0.0.1:{listener.getsockname()[1]}") as early, early.connect() as caller:
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 50000000\r\n\r\n" + b"x" * 200_000)
        reply = read_reply(caller)
        caller.sendall(b"x" * (50_000_000 - 200_000))
        caller.sendall(b"GET /_gateway/health HTTP/1.1\r\n" + HOST + b"\r\n")
        next_reply = read_reply(caller)
    listener.close()

    assert reply == refused
    assert next_reply.startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_breaks_off_behind_its_reply_gets_no_second_one() -> None:
    refused = b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n"

    def refuse(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(10)
            connection.sendall(refused)
            while connection.recv(1_000):
                pass

    with one_connection() as (listener, url), running_gateway(url) as gateway, gateway.connect() as caller:
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        reply = read_reply(caller)
        caller.sendall(b"1\r\nab\r\n" + SMALL)
        rest = caller.recv(1_000)

    assert reply == refused
    assert rest == b""


def test_an_engine_that_takes_no_more_holds_the_caller_back(gateway: RunningGateway) -> None:
    """Nothing is kept that the other side does not take."""
    listener = socket.create_server(("127.0.0.1", 0))
    with running_gateway(f"http://127.0.0.1:{listener.getsockname()[1]}") as slow, slow.connect() as caller:
        caller.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):  # noqa: PT012
            caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 200000000\r\n\r\n")
            while sent < 200_000_000:
                sent += caller.send(b"x" * 1_000_000)
    listener.close()

    assert sent < 50_000_000


def test_a_caller_that_takes_no_more_holds_the_engine_back(gateway: RunningGateway, engine: ByteEngine) -> None:
    written = []

    def endless(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n"

    engine.reply = endless
    listener = socket.create_server(("127.0.0.1", 0))

    def pour() -> None:
        connection, _ = listener.accept()
        connection.recv(1_000)
        connection.sendall(endless(b""))
        connection.settimeout(0.3)
        try:
            while True:
                written.append(connection.send(b"x" * 1_000_000))
        except OSError:
            connection.close()

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    with running_gateway(f"http://127.0.0.1:{listener.getsockname()[1]}") as slow, slow.connect() as caller:
        caller.sendall(SMALL)
        thread.join(WAIT_S)
    listener.close()

    assert 0 < sum(written) < 50_000_000


def test_a_caller_who_leaves_ends_the_request_at_the_engine(engine: ByteEngine) -> None:
    """The engine then cancels the search."""
    asked = threading.Event()

    def never(_: bytes) -> bytes:
        asked.set()
        return b""

    engine.reply = never
    with running_gateway(engine.url) as gateway:
        with gateway.connect() as caller:
            caller.sendall(SMALL)
            assert asked.wait(WAIT_S)

        assert engine.ended.wait(WAIT_S)


def test_a_reply_that_breaks_off_is_seen_to_do_so(
    gateway: RunningGateway, engine: ByteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.reply, engine.closes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", True
    with gateway.connect() as caller:
        caller.sendall(SMALL)
        reply = b""
        try:
            while data := caller.recv(1_000):
                reply += data
        except ConnectionResetError:
            pass

    assert not reply.endswith(b"0\r\n\r\n")
    wait_until(lambda: "broke within its reply" in caplog.text)
