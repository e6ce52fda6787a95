"""What the gateway keeps of requests that are over: nothing, whichever way they ended."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator

import pytest
from support.gateway.gateways import OK, SMALL, ByteEngine, RunningGateway, running_gateway
from support.parts import wait_until
from support.programs.kept import count_held, kept_after

from connector.gateway.exchange import BufferedRequest, Interception, NotIntercepted, Upstream
from connector.gateway.passing.caller_connection import CallerConnection

REQUESTS = 30
BULK = (
    b"POST /a/_bulk HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nlines\r\n" * 20 + b"0\r\n\r\n"
)
SEARCH = b"POST /a%d/_search HTTP/1.1\r\nHost: h\r\ncontent-length: 2\r\n\r\n%s"


class SomeAreOurs:
    """Answers a search in the engine's place, lets it pass, or fails, as its body says."""

    def wants(self, method: str, raw_path: bytes) -> bool:
        return raw_path.endswith(b"_search")

    async def answer(self, asked: BufferedRequest, upstream: Upstream) -> Interception:
        match asked.body:
            case b"{}":
                return await upstream.send(asked)
            case b"[]":
                return NotIntercepted("nothing of ours")
        raise ValueError("a fault of ours")

    async def close(self) -> None: ...


def ask(gateway: RunningGateway, number: int) -> None:
    gateway.ask(SMALL)
    gateway.ask(BULK)
    for body in (b"{}", b"[]", b"??"):
        gateway.ask(SEARCH % (number, body))


def leave_early(gateway: RunningGateway, number: int) -> None:
    """After a part of the head, of the body, or before the reply."""
    whole = SEARCH % (number, b"{}")
    for until in (10, -1, len(whole)):
        with gateway.connect() as caller:
            caller.sendall(whole[:until])


def send_nonsense(gateway: RunningGateway, number: int) -> None:
    gateway.ask(b"nonsense %d\r\n\r\n" % number)
    gateway.ask(b"GET /%d HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" % number)


@pytest.fixture(scope="module", autouse=True)
def _what_was_there_stays() -> None:
    """What other tests have imported and made is looked through once, and not by each look of these tests. It stays
    frozen: to undo that would give back also what tests/conftest.py froze, which costs each look half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def intercepting_gateway(lasting_engine: ByteEngine) -> Iterator[RunningGateway]:
    with running_gateway(lasting_engine.url, interceptor=SomeAreOurs()) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("act", "reply"),
    [(ask, OK), (ask, None), (leave_early, OK), (send_nonsense, OK)],
    ids=["asked", "cut off by the engine", "left early", "nonsense"],
)
def test_nothing_is_kept_of_requests_that_are_over(
    lasting_engine: ByteEngine,
    intercepting_gateway: RunningGateway,
    act: Callable[[RunningGateway, int], None],
    reply: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting_engine, "reply", reply)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # pytest keeps what is logged
    gc.collect()
    before = count_held(CallerConnection)

    def work() -> None:
        for number in range(REQUESTS):
            act(intercepting_gateway, number)
        wait_until(lambda: count_held(CallerConnection) <= before)  # the gateway has seen that the callers are gone

    assert kept_after(work, enough=REQUESTS) < REQUESTS
