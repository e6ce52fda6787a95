"""Callers that take their time: they cost the others nothing, and the engine no connection."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress

import pytest
from support.gateway.gateways import (
    HOST,
    OK,
    SMALL,
    WAIT_S,
    ByteEngine,
    RunningGateway,
    read_reply,
    read_request,
    running_gateway,
)
from support.servers.held_back import LARGE, one_connection, send_until_held_back

from connector.gateway.exchange import BufferedRequest, Interception, NotIntercepted, Upstream
from connector.gateway.passing import caller_connection

SLOW = 60
HEAD = b"POST /a/_search HTTP/1.1\r\nHost: h\r\ncontent-length: 12\r\n\r\n"


class Searches:
    """Wants each search, whose body is read whole first, and lets it pass."""

    def wants(self, method: str, raw_path: bytes) -> bool:
        return raw_path.endswith(b"_search")

    async def answer(self, asked: BufferedRequest, upstream: Upstream) -> Interception:
        return NotIntercepted("sort")

    async def close(self) -> None: ...


def slow_callers(gateway: RunningGateway, held: ExitStack, first: bytes) -> list[socket.socket]:
    """Each has sent so much, and then no more."""
    callers = [held.enter_context(gateway.connect()) for _ in range(SLOW)]
    for caller in callers:
        caller.sendall(first)
    return callers


def test_who_is_slow_holds_up_nobody_and_no_connection_of_the_engine(engine: ByteEngine) -> None:
    with running_gateway(engine.url, interceptor=Searches()) as gateway, ExitStack() as held:
        slow_callers(gateway, held, SMALL[:-4])
        bodies = slow_callers(gateway, held, HEAD + b"{")
        quick = [gateway.ask(SMALL) for _ in range(20)]
        at_once = engine.connections
        for caller in bodies:  # each is answered when it is done
            caller.sendall(b'"size":  1}')
        replies = [caller.recv(65_536) for caller in bodies]

    assert all(reply.endswith(b"ok") for reply in quick)
    assert at_once <= 2
    assert all(b"passed;reason=sort" in reply for reply in replies)


def test_a_head_that_does_not_come_to_its_end_is_waited_for_so_long_and_no_longer(
    engine: ByteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a byte comes now and then."""
    with running_gateway(engine.url) as gateway, ExitStack() as held:
        monkeypatch.setattr(caller_connection, "HEAD_S", 0.5)
        callers = slow_callers(gateway, held, SMALL[:-4])
        with suppress(ConnectionError):  # on a busy machine it has ended by then
            callers[0].sendall(b"o")
        ends = [end_of(caller) for caller in callers]

    assert ends == [b""] * SLOW
    assert engine.seen == []


def test_a_large_reply_goes_on_once_the_caller_reads_again() -> None:
    is_held = threading.Event()

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LARGE))
            send_until_held_back(connection, LARGE, is_held)
            connection.recv(1)  # until the gateway has taken all of it

    with one_connection() as (listener, url), running_gateway(url) as gateway, gateway.connect() as caller:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        caller.sendall(SMALL)
        was_held = is_held.wait(WAIT_S)
        reply = read_whole(caller, len(LARGE))

    assert was_held
    assert reply.partition(b"\r\n\r\n")[2] == LARGE


def test_a_large_body_goes_on_once_the_engine_reads_again() -> None:
    is_held, came = threading.Event(), []

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            is_held.wait(WAIT_S)
            came.append(read_whole(connection, len(LARGE)))
            connection.sendall(OK)
            connection.recv(1)

    with one_connection() as (listener, url), running_gateway(url) as gateway, gateway.connect() as caller:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % len(LARGE))
        send_until_held_back(caller, LARGE, is_held)
        reply = read_reply(caller)

    assert is_held.is_set()
    assert reply == OK
    assert came[0].partition(b"\r\n\r\n")[2] == LARGE


def read_whole(connection: socket.socket, length: int) -> bytes:
    """A head and a body of that length; what there is where the connection ends."""
    data, whole = bytearray(), None
    while whole is None or len(data) < whole:
        more = connection.recv(1_000_000)
        if not more:
            break
        data += more
        if whole is None and b"\r\n\r\n" in data:
            whole = data.index(b"\r\n\r\n") + 4 + length
    return bytes(data)


def end_of(caller: socket.socket) -> bytes:
    """What comes, or nothing where the connection has ended: what is sent after its end is answered by a reset."""
    try:
        return caller.recv(1)
    except ConnectionResetError:
        return b""
