"""An engine that is away, restarts or closes its connections: who is asked then, and what a caller gets."""

from __future__ import annotations

import socket
import threading

import orjson
import pytest
from loopback_ports import held_port
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
from support.parts import wait_until
from support.servers.held_back import LARGE, one_connection, send_until_held_back

from connector.gateway.passing import nodes


def test_an_engine_that_is_away_is_said_to_be_in_its_own_shape(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nodes, "AVOID_S", 60.0)  # less than the machine has run
    with held_port() as port, running_gateway(f"http://127.0.0.1:{port}") as gateway:
        reply = gateway.ask(b"GET /secret HTTP/1.1\r\n" + HOST + b"Authorization: Basic hush\r\n\r\n")
        ready = gateway.ask(b"GET /_gateway/ready HTTP/1.1\r\n" + HOST + b"\r\n")
        for _ in range(5):
            gateway.ask(SMALL)
    error = orjson.loads(reply.partition(b"\r\n\r\n")[2])

    assert reply.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert (error["status"], error["error"]["type"]) == (502, "gateway_engine_unavailable")
    assert error["error"]["root_cause"][0]["reason"] == error["error"]["reason"]
    assert "no connection to" in error["error"]["reason"]
    assert ready.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert len([record for record in caplog.records if "no connection to" in record.message]) == 1
    assert "hush" not in caplog.text


def test_an_engine_that_comes_back_is_asked_again() -> None:
    with held_port() as port, running_gateway(f"http://127.0.0.1:{port}") as gateway:
        engine = ByteEngine(port=port)
        away = gateway.ask(SMALL)
        with engine.running():
            back = gateway.ask(SMALL)

    assert (away[:12], back) == (b"HTTP/1.1 502", OK)


def test_an_engine_that_restarts_under_traffic_is_missed_only_while_it_is_away() -> None:
    replies: list[list[bytes]] = [[] for _ in range(4)]  # of each that asks
    is_over = threading.Event()

    def ask_all_the_time(own: list[bytes]) -> None:
        with gateway.connect() as caller:
            while not is_over.is_set():
                caller.sendall(SMALL)
                own.append(read_reply(caller))

    def wait_for(beginning: bytes, *, times: int = 1) -> None:
        """Until each has got such a reply so many times, from now on."""
        counts = [len(own) for own in replies]

        def has_come() -> bool:
            assert all(asking.is_alive() for asking in askers)
            return all(
                sum(reply.startswith(beginning) for reply in own[count:]) >= times
                for own, count in zip(replies, counts, strict=True)
            )

        wait_until(has_come)

    with held_port() as port, running_gateway(f"http://127.0.0.1:{port}") as gateway:
        engine = ByteEngine(port=port)
        askers = [threading.Thread(target=ask_all_the_time, args=(own,), daemon=True) for own in replies]
        with engine.running():
            for asking in askers:
                asking.start()
            wait_for(OK)
        wait_for(b"HTTP/1.1 502")
        with engine.running():
            wait_for(OK, times=20)
            is_over.set()
            for asking in askers:
                asking.join(WAIT_S)

    assert {reply[:12] for own in replies for reply in own} == {b"HTTP/1.1 200", b"HTTP/1.1 502"}
    assert all(own[-10:] == [OK] * 10 for own in replies)


def test_what_changes_nothing_is_asked_again_where_a_kept_connection_was_closed(
    gateway: RunningGateway, engine: ByteEngine
) -> None:
    """Every second request is on a connection that the engine closes instead of an answer."""
    engine.reply = lambda _: None if len(engine.seen) % 2 == 0 else OK
    body = HOST + b"Content-Length: 2\r\n\r\n{}"

    assert gateway.ask(SMALL) == OK
    assert gateway.ask(SMALL) == OK
    assert len(engine.seen) == 3
    assert gateway.ask(b"POST /i/_search HTTP/1.1\r\n" + body) == OK
    assert len(engine.seen) == 5
    assert gateway.ask(b"POST /i/_doc HTTP/1.1\r\n" + body).startswith(b"HTTP/1.1 502")
    assert len(engine.seen) == 6


def test_a_connection_on_which_the_engine_could_not_read_a_request_is_not_used_again(
    gateway: RunningGateway, engine: ByteEngine
) -> None:
    """Netty reads nothing more from it and leaves it open: whoever came next would wait for ever."""
    engine.reply = OK.replace(b"200 OK", b"400 Bad Request")
    replies = [gateway.ask(SMALL) for _ in range(3)]

    assert replies == [engine.reply] * 3
    assert engine.connections == 3


def test_several_nodes_are_asked_in_turn_and_one_that_is_away_is_passed_over() -> None:
    first, second = ByteEngine(), ByteEngine()
    with first.running(), second.running():
        with running_gateway(first.url, second.url) as gateway:
            for _ in range(6):
                gateway.ask(SMALL)
            both = (len(first.seen), len(second.seen))
    with second.running(), running_gateway(first.url, second.url) as gateway:
        replies = [gateway.ask(SMALL) for _ in range(4)]

    assert both == (3, 3)
    assert replies == [OK] * 4


@pytest.mark.parametrize(
    "data", [b"\x15\x03\x03\x00\x02\x02\x46", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\n :\r\n\r\n"]
)
def test_what_answers_in_another_protocol_is_no_engine(
    data: bytes, gateway: RunningGateway, engine: ByteEngine
) -> None:
    """TLS among others, where the address should say https."""
    engine.reply = data

    assert [gateway.ask(SMALL)[:12] for _ in range(2)] == [b"HTTP/1.1 502"] * 2
    assert engine.connections == 2


@pytest.mark.parametrize("is_later", [False, True])
def test_what_an_engine_says_unasked_is_no_reply(is_later: bool) -> None:
    """As a server does that closes an idle connection with a word."""
    word = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\ncontent-length: 0\r\n\r\n"
    is_read, is_closed = threading.Event(), threading.Event()

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            read_request(connection)
            connection.sendall(OK if is_later else OK + word)
            if is_later and is_read.wait(WAIT_S):
                connection.sendall(word)
            if connection.recv(1) == b"":
                is_closed.set()
        with listener.accept()[0] as connection:
            read_request(connection)
            connection.sendall(OK)
            connection.recv(1)

    with one_connection() as (listener, url), running_gateway(url) as gateway:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        first = gateway.ask(SMALL)
        is_read.set()
        was_closed = is_closed.wait(WAIT_S)
        second = gateway.ask(SMALL)

    assert was_closed
    assert (first, second) == (OK, OK)


def test_an_engine_that_goes_away_within_a_large_body_is_said_to_be_away() -> None:
    is_held = threading.Event()

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0]:
            is_held.wait(WAIT_S)

    with one_connection() as (listener, url), running_gateway(url) as gateway, gateway.connect() as caller:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % len(LARGE))
        send_until_held_back(caller, LARGE, is_held)
        reply = read_reply(caller)

    assert is_held.is_set()
    assert reply.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
