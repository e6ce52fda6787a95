"""Who may answer in the engine's place, and that a request passes through where they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.gateway.gateways import OK, WAIT_S, ByteEngine, RunningGateway, running_gateway
from support.parts import wait_until

from connector.gateway.exchange import BufferedReply, BufferedRequest, Interception, NotIntercepted, Upstream

SEARCH = b"POST /i/_search?size=2 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class WordOfCommand:
    """Does what the body says."""

    def __init__(self) -> None:
        self.asked: list[BufferedRequest] = []
        self.cancelled = 0

    def wants(self, method: str, raw_path: bytes) -> bool:
        return raw_path.endswith((b"/_search", b"/_msearch", b"/_msearch/"))

    async def answer(self, asked: BufferedRequest, upstream: Upstream) -> Interception:
        self.asked.append(asked)
        match asked.body:
            case b"reply":
                return BufferedReply(201, ((b"X-One", b"1"), (b"content-length", b"99")), b"ours")
            case b"legs":
                legs = [upstream.send(replace(asked, body=b"leg %d" % number)) for number in range(3)]
                return BufferedReply(200, (), b",".join(reply.body for reply in await asyncio.gather(*legs)))
            case b"fault":
                raise ValueError("a fault in the search")
            case b"wait":
                try:
                    await asyncio.sleep(WAIT_S)
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
        return NotIntercepted("not understood")

    async def close(self) -> None:
        pass


@pytest.fixture
def interceptor() -> WordOfCommand:
    return WordOfCommand()


@pytest.fixture
def gateway(engine: ByteEngine, interceptor: WordOfCommand) -> Iterator[RunningGateway]:
    with running_gateway(
        engine.url, interceptor=interceptor, max_search_bytes=1_000, max_msearch_bytes=2_000
    ) as gateway:
        yield gateway


def test_a_reply_of_ours_takes_the_place_of_the_engines(
    gateway: RunningGateway, engine: ByteEngine, interceptor: WordOfCommand
) -> None:
    reply = gateway.ask(SEARCH % (5, b"reply"))
    [asked] = interceptor.asked

    assert reply == b"HTTP/1.1 201 Created\r\nX-One: 1\r\ncontent-length: 4\r\n\r\nours"
    assert (asked.method, asked.raw_path, asked.query_string, asked.body) == (
        "POST",
        b"/i/_search",
        b"size=2",
        b"reply",
    )
    assert asked.headers == (
        (b"Host", b"h"), (b"Content-Type", b"application/json"), (b"x-forwarded-for", b"127.0.0.1"),
    )  # fmt: skip
    assert engine.seen == []


def test_legs_go_to_the_engine_side_by_side(gateway: RunningGateway, engine: ByteEngine) -> None:
    engine.reply = lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + request[-1:]

    assert gateway.ask(SEARCH % (4, b"legs")).endswith(b"\r\n\r\n0,1,2")
    assert sorted(request[-5:] for request in engine.seen) == [b"leg 0", b"leg 1", b"leg 2"]
    assert all(b"\r\nContent-Length: 5\r\n" in request for request in engine.seen)


@pytest.mark.parametrize("body", [b"anything", b"fault"])
def test_what_is_not_answered_passes_through_and_says_so(
    body: bytes, gateway: RunningGateway, engine: ByteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    request = SEARCH % (len(body), body)
    reason = b"fault" if body == b"fault" else b"not understood"

    assert gateway.ask(request) == OK.replace(b"\r\n\r\n", b"\r\nX-Rerank: passed;reason=%s\r\n\r\n" % reason)
    assert engine.seen == [request.replace(b"\r\n\r\n", b"\r\nx-forwarded-for: 127.0.0.1\r\n\r\n")]
    assert ("a fault in the search" in caplog.text) == (body == b"fault")


def test_a_page_of_another_origin_may_read_what_was_done_where_the_engine_lets_it_read_the_reply(
    gateway: RunningGateway, engine: ByteEngine
) -> None:
    engine.reply = OK.replace(b"\r\n\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
    searched = gateway.ask(SEARCH % (4, b"what"))
    other = gateway.ask(SEARCH.replace(b"_search", b"_count") % (4, b"what"))

    assert b"\r\nAccess-Control-Expose-Headers: X-Rerank\r\n" in searched
    assert other == engine.reply


@pytest.mark.parametrize(("endpoint", "limit"), [(b"_search", 1_000), (b"_msearch", 2_000), (b"_msearch/", 2_000)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_limit_is_not_looked_at(
    endpoint: bytes,
    limit: int,
    is_chunked: bool,
    gateway: RunningGateway,
    engine: ByteEngine,
    interceptor: WordOfCommand,
) -> None:
    for length in (limit, limit + 1):
        framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % length
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (length, b"x" * length) if is_chunked else b"x" * length
        reply = gateway.ask(b"POST /i/" + endpoint + b" HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n" + body)

        assert (b"too-large" in reply) == (length > limit)
        assert engine.seen[-1].count(b"x") >= length
    assert [len(asked.body) for asked in interceptor.asked] == [limit]


def test_a_caller_who_leaves_ends_the_search(gateway: RunningGateway, interceptor: WordOfCommand) -> None:
    with gateway.connect() as caller:
        caller.sendall(SEARCH % (4, b"wait"))
        wait_until(lambda: bool(interceptor.asked))
    wait_until(lambda: interceptor.cancelled == 1)


def test_a_path_that_is_not_wanted_costs_nothing(gateway: RunningGateway, interceptor: WordOfCommand) -> None:
    reply = gateway.ask(b"POST /i/_search/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nreply")

    assert (reply, interceptor.asked) == (OK, [])
