"""An engine that goes away under traffic and comes back: its callers get what they try again on, and nothing halved."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import engines
import httpx
import pytest
from support.gateway.running_gateway import ENCODER, JSON, PRODUCTS, answering_gateway, filled_shop, gateway_settings
from support.parts import wait_until
from support.runs.effort import IS_SOAK
from support.servers.proxy import Proxy
from support.servers.running_engines import SHORT_LIVED

from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live

FEW = dict(list(PRODUCTS.items())[:60])
BODY: JSON = {"query": {"match": {"title": "red sofa"}}, "size": 5}
TRY_AGAIN = {429, 502, 503, 504}  # official clients do
CALLERS, REPLIES = 4, 12
# kills of a server of its own: minutes of processor time, so only for a night
OWN_ENGINES = [("elasticsearch", "9.3.2"), ("opensearch", "2.19.1")] if IS_SOAK else []


@dataclass
class Traffic:
    """What callers got so far, in turn of a search and of what passes through."""

    url: str
    shop: str
    replies: list[httpx.Response] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def call(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            for action in itertools.cycle(("_search", "_count")):
                if self.ended.is_set():
                    return
                body = BODY if action == "_search" else {"query": BODY["query"]}
                self.replies.append(client.post(f"/{self.shop}/{action}", json=body))

    def wait_for(self, is_so: Callable[[httpx.Response], bool]) -> None:
        """Until so many replies in a row were so, from now on."""
        start = len(self.replies)

        def seen() -> bool:
            last = self.replies[start:][-REPLIES:]
            return len(last) == REPLIES and all(map(is_so, last))

        wait_until(seen, timeout_s=240)


@contextmanager
def traffic(engine: ClusterSettings, shop: str) -> Iterator[Traffic]:
    with answering_gateway(gateway_settings(engine, shop), ENCODER) as url, ThreadPoolExecutor(CALLERS) as pool:
        going = Traffic(url, shop)
        callers = [pool.submit(going.call) for _ in range(CALLERS)]
        try:
            yield going
        finally:
            going.ended.set()
        assert [caller.result() for caller in callers] == [None] * CALLERS


def go_away_and_come_back(
    engine: ClusterSettings, shop: str, *, away: Callable[[], None], back: Callable[[], None]
) -> None:
    with traffic(engine, shop) as going:
        going.wait_for(lambda reply: reply.status_code == 200)
        away()
        going.wait_for(lambda reply: reply.status_code in TRY_AGAIN)
        back()
        going.wait_for(lambda reply: reply.status_code == 200)
    searches = [reply for reply in going.replies if reply.request.url.path.endswith("/_search")]
    failed = [reply for reply in going.replies if reply.status_code != 200]

    assert {reply.status_code for reply in failed} <= TRY_AGAIN
    assert all(reply.json()["error"]["type"] for reply in failed)
    assert all(len(reply.json()["hits"]["hits"]) == 5 for reply in searches if reply.status_code == 200)
    for end in (searches[0], searches[-1]):
        assert end.headers["x-rerank"].startswith("reranked;")


@pytest.mark.parametrize("own", [None, *OWN_ENGINES])
@pytest.mark.timeout(900)
async def test_an_engine_that_goes_away_under_traffic_and_comes_back(
    own: tuple[str, str] | None, elasticsearch: ClusterSettings
) -> None:
    """One that cannot be reached for a while; or is killed and started again."""
    if own is None:
        async with Proxy(elasticsearch.url) as proxy:
            await asyncio.to_thread(cut_off, elasticsearch, proxy)
    else:
        await asyncio.to_thread(kill_and_start_again, *own)


def cut_off(engine: ClusterSettings, proxy: Proxy) -> None:
    def away() -> None:
        proxy.fault = lambda seen: "reset"

    def back() -> None:
        proxy.fault = lambda seen: None

    with filled_shop(engine, FEW) as shop:
        go_away_and_come_back(engine.model_copy(update={"url": proxy.url}), shop, away=away, back=back)


def kill_and_start_again(kind: str, version: str) -> None:
    """Before that, its circuit breaker opens: callers get its own refusal, and reranked hits when it has closed."""
    server = engines.start(kind, version, java_options=SHORT_LIVED[kind], wait_s=240)
    engine = ClusterSettings(url=server["url"])
    try:
        with filled_shop(engine, FEW) as shop:
            assert_breaker_is_the_engines_own(engine, shop)
            go_away_and_come_back(
                engine,
                shop,
                away=lambda: engines.kill(server),
                back=lambda: server.update(engines.launch(server, wait_s=240)),
            )
    finally:
        engines.stop(server)


def assert_breaker_is_the_engines_own(engine: ClusterSettings, shop: str) -> None:
    body = BODY | {"aggs": {"brands": {"terms": {"field": "brand"}}}}
    with answering_gateway(gateway_settings(engine, shop), ENCODER) as url, httpx.Client(timeout=60) as client:

        def limit(value: str | None) -> None:
            settings = {"transient": {"indices.breaker.request.limit": value}}
            client.put(f"{engine.url}/_cluster/settings", json=settings).raise_for_status()

        limit("1b")
        direct, through = (client.post(f"{at}/{shop}/_search", json=body) for at in (engine.url, url))
        limit(None)
        after = client.post(f"{url}/{shop}/_search", json=body)

    assert direct.status_code in TRY_AGAIN
    assert (through.status_code, through.json()["error"]["type"]) == (
        direct.status_code,
        direct.json()["error"]["type"],
    )
    assert "circuit_breaking_exception" in direct.text
    assert "circuit_breaking_exception" in through.text
    assert after.headers["x-rerank"].startswith("reranked;")
