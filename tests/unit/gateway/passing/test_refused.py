"""What is refused before it reaches the engine: everything that two servers could read in two ways."""

from __future__ import annotations

import orjson
import pytest
from support.gateway.gateways import HOST, SMALL, ByteEngine, RunningGateway, read_reply

POST = b"POST /i/_doc HTTP/1.1\r\n" + HOST


REFUSED = {
    "both framings": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "lengths in a list": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a negative length": POST + b"Content-Length: -1\r\n\r\na",
    "a hexadecimal length": POST + b"Content-Length: 0x1\r\n\r\na",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "an overflowing length": POST + b"Content-Length: 99999999999999999999999\r\n\r\na",
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunked and another": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, then another": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "almost chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked behind a tab of its own": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /i HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 1\r\n\r\na",
    "a space before the name": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "CR in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "LF alone in a head": b"GET / HTTP/1.1\n" + HOST + b"X: a\nContent-Length: 5\r\n\r\n",
    "a line that goes on in the next": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "LF alone in a chunk's extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
    "an overflowing chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
    "a chunk with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "a chunk that is longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a whole address": b"GET http://h/_search HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a slash": b"GET _search HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character in the target": b"GET /a\x01b HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "a method that nobody knows": b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_ambiguous_request_is_refused_and_the_connection_ends(
    case: str, lasting_gateway: RunningGateway, lasting_engine: ByteEngine
) -> None:
    before = len(lasting_engine.seen)
    with lasting_gateway.connect() as caller:
        caller.sendall(REFUSED[case])
        reply = read_reply(caller)
        rest = caller.recv(100)

    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n"), reply
    assert rest == b""
    assert orjson.loads(reply.partition(b"\r\n\r\n")[2])["status"] == 400
    assert lasting_engine.seen[before:] == []


@pytest.mark.parametrize(("method", "status"), [("CONNECT", b"405"), ("PROPFIND", b"405"), ("TRACE", b"200")])
def test_methods_that_no_engine_answers_go_no_further(
    method: str, status: bytes, lasting_gateway: RunningGateway
) -> None:
    assert lasting_gateway.ask(f"{method} /a HTTP/1.1\r\nHost: h\r\n\r\n".encode()).startswith(b"HTTP/1.1 " + status)


def test_a_head_is_limited_above_the_engines_limit(lasting_gateway: RunningGateway, lasting_engine: ByteEngine) -> None:
    """16 kB is the engine's, which says so itself."""
    below = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"
    above = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"
    many = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
    endless = b"GET /" + b"x" * 8_000_000
    endless_value = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 8_000_000

    assert lasting_gateway.ask(below).startswith(b"HTTP/1.1 200 OK")
    assert lasting_engine.seen[-1].count(b"x") >= 40_000
    for head in (above, many, endless, endless_value):
        with lasting_gateway.connect() as caller:
            caller.sendall(head)  # all of it is taken, so that the reply comes through
            assert read_reply(caller).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def test_a_caller_who_sends_on_after_a_broken_chunk_gets_the_reply(lasting_gateway: RunningGateway) -> None:
    with lasting_gateway.connect() as caller:
        caller.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n" + b"x" * 8_000_000)
        reply = read_reply(caller)
        rest = caller.recv(100)

    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert rest == b""


@pytest.mark.parametrize("case", ["two Hosts", "a chunk that is longer than it says"])
def test_what_was_asked_before_is_answered_before_the_connection_ends(
    case: str, lasting_gateway: RunningGateway
) -> None:
    with lasting_gateway.connect() as caller:
        caller.sendall(SMALL + REFUSED[case])
        reply = b""
        while data := caller.recv(1_000):
            reply += data

    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.count(b"HTTP/1.1") == 1


def test_a_request_in_a_body_is_none(lasting_gateway: RunningGateway, lasting_engine: ByteEngine) -> None:
    inner = b"DELETE /i HTTP/1.1\r\nHost: h\r\n\r\n"
    before = len(lasting_engine.seen)
    lasting_gateway.ask(POST + b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner))

    assert len(lasting_engine.seen) == before + 1
    assert lasting_engine.seen[-1].endswith(b"\r\n\r\n" + inner)
