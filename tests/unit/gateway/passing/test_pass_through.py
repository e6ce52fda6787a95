"""What passes through is byte for byte what was sent, both ways."""

from __future__ import annotations

import logging

import pytest
from support.gateway.gateways import HOST, OK, SMALL, WAIT_S, ByteEngine, RunningGateway, read_reply, running_gateway


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
