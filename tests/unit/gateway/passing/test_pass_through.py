"""What passes through is byte for byte what was sent, both ways; its connections are clean, and end when they must."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import orjson
import pytest
from loopback_ports import held_port
from support.gateways import OK, SMALL, WAIT_S, ByteEngine, RunningGateway, read_reply, running_gateway
from support.parts import wait_until

from connector.gateway.passing import nodes

HOST = b"Host: h\r\n"


@pytest.fixture
def gateway(engine: ByteEngine) -> Iterator[RunningGateway]:
    with running_gateway(engine.url) as gateway:
        yield gateway


def test_target_and_headers_go_on_as_they_came(gateway: RunningGateway, engine: ByteEngine) -> None:
    target = b"/a%2Fb//%3Cx%3E/../c;d/<idx>?q=a+b&q=%2B&&empty=#part"
    headers = (
        b"X-A: 1\r\nx-A: 2\r\nX-Caf\x2d: caf\xe9 \xc3\xa9\r\nAUTHORIZATION: Basic eA==\r\nCookie: a=b\r\nX-Empty: \r\n"
    )
    gateway.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n")

    assert engine.seen[-1] == (
        b"GET " + target + b" HTTP/1.1\r\n" + HOST + headers + b"x-forwarded-for: 127.0.0.1\r\n\r\n"
    )


def test_a_reply_comes_back_as_it_went(gateway: RunningGateway, engine: ByteEngine) -> None:
    head = (
        b"HTTP/1.1 429 Slow Down Please\r\nX-elastic-product: E\r\nWarning: 299 a\r\nwarning: 299 b\r\nX: caf\xe9\r\n"
    )
    engine.reply = head + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff"

    assert gateway.ask(SMALL) == engine.reply


def test_a_chunked_reply_keeps_its_place_and_its_bytes(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = b"HTTP/1.1 200 OK\r\nA: 1\r\nTransfer-Encoding: chunked\r\nB: 2\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    assert gateway.ask(SMALL) == engine.reply


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_reply_without_a_body_leaves_the_connection_usable(
    reply: bytes, gateway: RunningGateway, engine: ByteEngine
) -> None:
    engine.reply = reply

    assert [gateway.ask(SMALL) for _ in range(3)] == [reply] * 3
    assert engine.connections == 1


def test_a_reply_to_head_has_the_length_and_no_body(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = lambda request: OK.removesuffix(b"ok") if request.startswith(b"HEAD") else OK
    with gateway.connect() as caller:
        caller.sendall(b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n")
        first = read_reply(caller, is_head=True)
        caller.sendall(SMALL)
        second = read_reply(caller)

    assert (first, second) == (OK.removesuffix(b"ok"), OK)
    assert engine.connections == 1


def test_a_reply_that_ends_with_its_connection_is_whole(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply, engine.closes = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", True

    assert gateway.ask(SMALL) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n"


def test_an_interim_reply_is_not_the_reply(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = b"HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n" + OK

    assert gateway.ask(SMALL) == OK


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"content-LENGTH: 5\r\n", b"a\x00\xff\r\n"),
        (b"Content-Length: 0\r\n", b""),
    ],
)
def test_a_body_with_a_length_keeps_it(
    framing: bytes, body: bytes, gateway: RunningGateway, engine: ByteEngine
) -> None:
    gateway.ask(b"POST /b HTTP/1.1\r\n" + HOST + framing + b"\r\n" + body)

    assert engine.seen[-1] == (b"POST /b HTTP/1.1\r\n" + HOST + framing + b"x-forwarded-for: 127.0.0.1\r\n\r\n" + body)


def test_a_chunked_body_goes_on_in_chunks_without_its_extensions_and_trailers(
    gateway: RunningGateway, engine: ByteEngine
) -> None:
    chunks = b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Proxy-User: admin\r\nHost: b\r\n\r\n"
    gateway.ask(b"POST /b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n" + chunks)

    assert engine.seen[-1] == (
        b"POST /b HTTP/1.1\r\n" + HOST + b"x-forwarded-for: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"7\r\nabcdefg\r\n0\r\n\r\n"
    )


def test_what_belongs_to_one_connection_stays_there(gateway: RunningGateway, engine: ByteEngine) -> None:
    own = (
        b"Connection: keep-alive, X-Mine, x-forwarded-for, Host\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\n"
        b"TE: trailers\r\n"
        b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTrailer: X\r\n"
    )
    gateway.ask(b"GET / HTTP/1.1\r\n" + HOST + own + b"X-Yours: 1\r\n\r\n")

    assert engine.seen[-1] == (b"GET / HTTP/1.1\r\n" + HOST + b"X-Yours: 1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n")


def test_nobody_can_say_who_they_are_in_the_name_of_a_proxy(gateway: RunningGateway, engine: ByteEngine) -> None:
    claims = b"X-Proxy-User: admin\r\nx-proxy-roles: all\r\nX-PROXY-EXT-a: 1\r\nX-Forwarded-For: 10.0.0.1\r\n"
    gateway.ask(b"GET / HTTP/1.1\r\n" + HOST + claims + b"\r\n")

    assert engine.seen[-1] == b"GET / HTTP/1.1\r\n" + HOST + b"x-forwarded-for: 127.0.0.1\r\n\r\n"


def test_a_trusted_proxy_may_say_it(engine: ByteEngine) -> None:
    claims = b"X-Proxy-User: u\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n"
    with running_gateway(engine.url, trusted_proxies=["127.0.0.0/8"]) as gateway:
        gateway.ask(b"GET / HTTP/1.1\r\n" + HOST + claims + b"\r\n")
    with running_gateway(engine.url, trusted_proxies=["10.0.0.0/8"]) as gateway:
        gateway.ask(b"GET / HTTP/1.1\r\n" + HOST + claims + b"\r\n")
    trusted, untrusted = engine.seen

    assert trusted == (
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Proxy-User: u\r\nx-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1\r\n\r\n"
    )
    assert b"X-Proxy-User" not in untrusted
    assert b"10.0.0." not in untrusted


def test_the_engines_own_host_can_be_named(engine: ByteEngine) -> None:
    with running_gateway(engine.url + "/prefix/", preserve_host=False) as gateway:
        gateway.ask(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n")
        gateway.ask(b"GET /b HTTP/1.0\r\n\r\n")
    host = b"Host: 127.0.0.1:%d\r\n" % engine.port

    assert engine.seen[0].startswith(b"GET /prefix/a HTTP/1.1\r\n" + host)
    assert engine.seen[1].startswith(b"GET /prefix/b HTTP/1.1\r\n" + host)


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_an_offered_upgrade_is_answered_in_http_1_1(body: bytes, gateway: RunningGateway, engine: ByteEngine) -> None:
    """Java's client offers HTTP/2 with its first request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\nContent-Length: %d\r\n\r\n"
    with gateway.connect() as caller:
        caller.sendall(b"POST /b HTTP/1.1\r\n" + HOST + offer % len(body) + body + SMALL)
        replies = read_reply(caller)
        while replies.count(b"ok") < 2:
            replies += caller.recv(1_000)

    length = b"Content-Length: %d\r\n" % len(body)
    assert engine.seen[0] == b"POST /b HTTP/1.1\r\n" + HOST + length + b"x-forwarded-for: 127.0.0.1\r\n\r\n" + body
    assert replies == OK * 2


def test_a_chunked_body_behind_an_offered_upgrade_is_read(gateway: RunningGateway, engine: ByteEngine) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    gateway.ask(b"POST /b HTTP/1.1\r\n" + HOST + offer)

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


def test_clients_that_would_go_past_the_gateway_are_warned_of_once(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    for target in (b"/_nodes/stats", b"/_nodes/http", b"/_nodes/_all/http?timeout=1s"):
        gateway.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")

    assert [record.message for record in caplog.records if "_nodes/http" in record.message] == [
        "a client asks for the addresses of the nodes (_nodes/http) and will go past the gateway; "
        "switch sniffing off in it (sniff_on_start, sniff_on_node_failure)"
    ]


def test_neither_credentials_nor_bodies_are_logged(gateway: RunningGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = b"Authorization: Basic hush\r\nes-security-runas-user: hush\r\n"
    gateway.ask(b"POST /i/_search?q=hush HTTP/1.1\r\n" + HOST + secret + b"Content-Length: 4\r\n\r\nhush")
    gateway.ask(b"GET /hush HTTP/1.1\r\n" + secret + b"\r\n")

    assert "hush" not in caplog.text


def test_the_gateways_own_pages_are_under_a_path_that_no_engine_has(
    gateway: RunningGateway, engine: ByteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.gateway.app.READY_S", WAIT_S)
    replies = [
        gateway.ask(b"GET /_gateway/" + page + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        for page in (b"health", b"ready", b"x")
    ]

    assert [reply[:12] for reply in replies] == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 404"]
    assert [request[:6] for request in engine.seen] == [b"HEAD /"]
