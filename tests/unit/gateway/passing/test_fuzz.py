"""Raw requests of every shape: the gateway never fails, and what an engine gets is what was sent, or nothing."""

from __future__ import annotations

import itertools
import re

import httptools
from hypothesis import given
from hypothesis import strategies as st
from support.gateway.gateways import ByteEngine, RunningGateway

TOKEN = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).filter(lambda value: not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value))
TARGET = st.text("/%20abc_.~:;,@!$&'()*+=?<>{}|^`\"\\[]-_#", max_size=40).map(lambda text: b"/" + text.encode())
METHOD = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"])
FRAMING = (b"content-length", b"transfer-encoding", b"host", b"connection", b"upgrade", b"expect")
OF_OURS = b"x-forwarded-for"
OF_THE_TEST = b"x-number"
NUMBERS = itertools.count()
DROPPED = re.compile(rb"connection|keep-alive|te|trailer|upgrade|proxy-.*|x-proxy-.*|x-forwarded-for|expect", re.I)
# the pieces of heads that two servers read in two ways
PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"Host: h\r\n", b"Content-Length: 3\r\n", b"\r\n", b"\n",
        b"\r", b" ", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : x\r\n", b"Content-Length: 0x3\r\n",
        b"3\r\nabc\r\n", b"\x00", b"0\r\n\r\n", b"abc", b"X: y\r\n", b"Connection: close\r\n", b"\xff", b": ",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0\r\n", b"0;\n\r\n",
        b"GET /_gateway/health HTTP/1.1\r\nHost: h\r\n\r\n", b"POST /b HTTP/1.1\r\nHost: h\r\n",
    ]
)  # fmt: skip
NOTHING = b"\x00" * 400  # at which every parser stops, whatever it was about to read


class Read:
    """A request as a strict parser reads it."""

    def __init__(self, data: bytes) -> None:
        self.target, self.headers, self.body, self.count = b"", list[tuple[bytes, bytes]](), b"", 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.count += 1


@given(
    method=METHOD,
    target=TARGET,
    headers=st.lists(st.tuples(TOKEN, VALUE), max_size=6),
    body=st.binary(max_size=200),
    is_chunked=st.booleans(),
)
def test_a_request_that_is_right_arrives_as_it_was_sent(
    method: bytes,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    is_chunked: bool,
    lasting_engine: ByteEngine,
    lasting_gateway: RunningGateway,
) -> None:
    number = next(NUMBERS)
    sent = [(name, value.strip(b" \t")) for name, value in headers if name.lower() not in FRAMING]
    sent.append((OF_THE_TEST, b"%d" % number))
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: h", *(b"%s: %s" % pair for pair in sent)]
    if is_chunked:
        lines += [
            b"Transfer-Encoding: chunked",
            b"",
            (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n",
        ]
    else:
        lines += [b"Content-Length: %d" % len(body), b"", body]
    before = len(lasting_engine.seen)
    reply = lasting_gateway.ask(b"\r\n".join(lines), is_head=method == b"HEAD")
    # the engine may see only now that a caller of an earlier example has left
    arrived = [request for request in lasting_engine.seen[before:] if b"%s: %d\r\n" % (OF_THE_TEST, number) in request]

    if reply.startswith(b"HTTP/1.1 400"):  # a target that no parser takes
        assert arrived == []
        return
    assert reply.startswith(b"HTTP/1.1 200"), reply
    (request,) = map(Read, arrived)
    assert (request.method, request.target, request.body, request.count) == (method, target, body, 1)
    kept = [pair for pair in sent if not DROPPED.fullmatch(pair[0])]
    assert [pair for pair in request.headers if pair[0].lower() not in (*FRAMING, OF_OURS)] == kept


@given(data=st.lists(PIECES, min_size=1, max_size=12).map(b"".join))
def test_whatever_is_sent_nothing_of_ours_fails_and_the_engine_gets_whole_requests(
    data: bytes, lasting_engine: ByteEngine, lasting_gateway: RunningGateway
) -> None:
    before = len(lasting_engine.seen)
    with lasting_gateway.connect() as caller:
        caller.sendall(data + NOTHING)
        received = b""
        try:
            while more := caller.recv(65_536):
                received += more
        except ConnectionResetError:
            pass

    assert not re.search(rb"HTTP/1\.1 5(?!05)", received), received
    assert lasting_gateway.ask(b"GET /_gateway/health HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 200")
    for request in map(Read, lasting_engine.seen[before:]):
        assert request.count <= 1  # none where the caller ended within a body
        assert sum(name.lower() == b"host" for name, _ in request.headers) == 1
