"""Searches through the gateway of an alias that stands for several indices, in which ids are not unique."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from support.gateway.running_gateway import (
    ENCODER,
    JSON,
    PRODUCTS,
    answering_gateway,
    filled_shop,
    gateway_settings,
)
from support.indices.scratch import NDJSON, engine_client
from support.parts import wait_until
from support.servers.proxy import Proxy

from connector.gateway.ordering import site
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live

HALF = dict(list(PRODUCTS.items())[:60])
BODY: JSON = {"query": {"match": {"text": "red sofa"}}, "size": 10, "highlight": {"fields": {"text": {}}}}


@pytest.fixture(scope="module")
def alias(engine: ClusterSettings) -> Iterator[str]:
    """Two indices with the same ids; of one of them the alias shows a part."""
    with filled_shop(engine, HALF) as first, filled_shop(engine, HALF) as second:
        name = f"{first}-both"
        only = {"term": {"brand": "acme"}}
        actions: list[JSON] = [{"add": {"index": first, "alias": name}}]
        actions.append({"add": {"index": second, "alias": name, "filter": only}})
        httpx.post(f"{engine.url}/_aliases", json={"actions": actions}, timeout=60).raise_for_status()
        yield name


@pytest.mark.parametrize("mode", ["bounded", "union"])
def test_pages_of_an_alias_have_no_repeat_and_no_gap(engine: ClusterSettings, alias: str, mode: str) -> None:
    theirs = httpx.post(f"{engine.url}/{alias}/_search", json=BODY | {"size": 200}, timeout=60).json()["hits"]
    with answering_gateway(gateway_settings(engine, alias, window=20), ENCODER) as url:
        replies = [
            httpx.post(f"{url}/{alias}/_search", json=BODY | {"from": start}, headers={"X-Rerank": mode}, timeout=60)
            for start in range(0, 120, 10)
        ]
    hits = [hit for reply in replies for hit in reply.json()["hits"]["hits"]]
    found = [(hit["_index"], hit["_id"]) for hit in hits]
    total = replies[0].json()["hits"]["total"]["value"]

    assert all(reply.headers["x-rerank"].startswith("reranked;window=20") for reply in replies), replies[0].headers
    assert len(found) == len(set(found)) == total
    assert {(hit["_index"], hit["_id"]) for hit in theirs["hits"]} <= set(found)
    assert len({index for index, _ in found}) == 2
    assert total == len(theirs["hits"]) if mode == "bounded" else total > len(theirs["hits"])
    assert not any(hit["_source"]["brand"] != "acme" for hit in hits if not alias.startswith(hit["_index"]))


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_an_index_is_known_by_its_other_names(kind: str, request: pytest.FixtureRequest) -> None:
    """An alias, a list, a pattern; not together with another index, nor where one joins that was not there before."""
    engine: ClusterSettings = request.getfixturevalue(kind)
    query: JSON = {"query": {"match": {"text": "red sofa"}}, "size": 5}
    with filled_shop(engine, HALF) as shop, filled_shop(engine, {"p1": HALF["p1"]}) as other:
        same, acme, both = (f"{shop}-{name}" for name in ("same", "acme", "both"))
        with engine_client(engine) as client:
            aliases: list[JSON] = [
                {"index": shop, "alias": same},
                {"index": shop, "alias": acme, "filter": {"term": {"brand": "acme"}}},
                *({"index": index, "alias": both} for index in (shop, other)),
            ]
            client.post("/_aliases", json={"actions": [{"add": alias} for alias in aliases]}).raise_for_status()
            with answering_gateway(gateway_settings(engine, shop), ENCODER) as url:

                def ask(names: str, more: str = "", **body: int) -> httpx.Response:
                    return httpx.post(f"{url}/{names}/_search{more}", json=query | body, timeout=60)

                spellings = (
                    shop,
                    same,
                    f"{shop},{same}",
                    f"{shop},nothing-of-this-*",
                    f"{same[:-1]}*",
                    f"{shop}%2C{same}",
                )
                alike = [ask(names) for names in spellings]
                pages: list[JSON] = []
                for at in (0, 5, 10):  # the index itself is asked in between: its order is not that of the alias
                    pages += ask(acme, **{"from": at}).json()["hits"]["hits"]
                    ask(shop)
                apart = [ask(names) for names in (both, f"{shop},{other}", f"{shop}*", f"{shop},nothing", "_all")]
                wide = ask(f"{same[:-1]}*", "?expand_wildcards=all")
                heads: list[JSON] = [{"index": [shop, same]}, {"index": f"{same[:-1]}*"}, {"index": both}]
                lines = "".join(f"{json.dumps(head)}\n{json.dumps(query)}\n" for head in heads)
                several = httpx.post(f"{url}/_msearch", content=lines, headers=NDJSON, timeout=60)
                joining = f"{same[:-1]}-new"  # which that pattern finds
                client.put(f"/{joining}/_doc/p1?refresh=true", json={"text": "red sofa " * 9})
                joined = ask(f"{same[:-1]}*", size=70)
                client.delete(f"/{joining}")

    assert all(reply.headers["x-rerank"].startswith("reranked;") for reply in alike), [r.headers for r in alike]
    assert all(reply.json()["hits"] == alike[0].json()["hits"] for reply in alike)
    assert len({hit["_id"] for hit in pages}) == 15
    assert {hit["_source"]["brand"] for hit in pages} == {"acme"}
    assert not any("x-rerank" in reply.headers for reply in apart)
    assert wide.headers["x-rerank"] == "passed;reason=expand_wildcards-of-a-pattern"
    assert several.headers["x-rerank"] == "reranked;searches=2;of=3"
    assert joined.headers["x-rerank"] == "passed;reason=hits-of-another-index"
    assert joining in {hit["_index"] for hit in joined.json()["hits"]["hits"]}


def test_an_alias_that_comes_to_stand_for_what_cannot_be_reranked_passes_through(
    elasticsearch: ClusterSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its searches cost no legs in vain until somebody looks into the log."""
    monkeypatch.setattr(site, "REOPEN_S", 0.05)
    with filled_shop(elasticsearch, HALF) as first, engine_client(elasticsearch) as client:
        name, plain = f"{first}-now", f"{first}-plain"
        client.put(
            f"/{plain}", json={"mappings": {"properties": {"title": {"type": "text"}, "text": {"type": "text"}}}}
        )
        client.post("/_aliases", json={"actions": [{"add": {"index": first, "alias": name}}]})
        with answering_gateway(gateway_settings(elasticsearch, name), ENCODER) as url:

            def outcome() -> str:
                return httpx.post(f"{url}/{name}/_search", json=BODY, timeout=60).headers["x-rerank"].partition(";w")[0]

            before = outcome()
            swap = [{"remove": {"index": first, "alias": name}}, {"add": {"index": plain, "alias": name}}]
            client.post("/_aliases", json={"actions": swap})
            wait_until(lambda: outcome() == "passed;reason=index-not-open")
            client.post("/_aliases", json={"actions": [{"add": {"index": first, "alias": name}}]})
            client.delete(f"/{plain}")
            wait_until(lambda: outcome() == "reranked")

    assert before == "reranked"


async def test_where_the_engine_does_not_say_what_an_index_is_searches_go_on_as_before(
    elasticsearch: ClusterSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site, "REOPEN_S", 0.05)

    def search(engine: ClusterSettings, shop: str, proxy: Proxy) -> str:
        with answering_gateway(gateway_settings(engine, shop), ENCODER) as url:
            proxy.fault = lambda seen: None if seen.is_search else "unavailable"
            wait_until(lambda: "goes on as it was" in caplog.text)
            outcome: str = httpx.post(f"{url}/{shop}/_search", json=BODY, timeout=60).headers["x-rerank"]
            return outcome

    with filled_shop(elasticsearch, HALF) as shop:
        async with Proxy(elasticsearch.url) as proxy:
            behind = elasticsearch.model_copy(update={"url": proxy.url})
            outcome = await asyncio.to_thread(search, behind, shop, proxy)

    assert outcome.startswith("reranked;")
    assert "pass through" not in caplog.text
