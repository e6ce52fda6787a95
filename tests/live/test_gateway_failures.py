"""The gateway fails open: where a part of it fails, callers get the engine's own answer, and a header says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from support.gateway.running_gateway import (
    DIMS,
    ENCODER,
    JSON,
    FailingEncoder,
    answering_gateway,
    filled_shop,
    gateway_settings,
)
from support.indices.scratch import NDJSON
from support.parts import HashEncoder, OverlapScorer, serving, wait_until
from support.servers.proxy import Fault, Proxy, Seen
from support.worker.worker_app import wait_ready

from connector.gateway.answering.fitting import FIRST
from connector.models.encoder import Encoder
from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.types import Vector
from connector.worker.app import create_app

pytestmark = pytest.mark.live

LOOSE: JSON = {
    "query": {"match": {"title": "red sofa"}},
    "size": 7,
    "from": 3,
    "aggs": {"b": {"terms": {"field": "brand"}}},
}
NOWHERE = "http://127.0.0.1:9"


class OtherEncoder(HashEncoder):
    """Its vectors are none that the engine takes."""

    def encode_query(self, text: str) -> Vector:
        return np.zeros(DIMS + 1, dtype=np.float32)


@pytest.fixture(scope="module")
def shop(elasticsearch: ClusterSettings) -> Iterator[str]:
    with filled_shop(elasticsearch) as name:
        yield name


@contextlib.contextmanager
def gateway(
    engine: ClusterSettings, shop: str, *, worker: str = "", encoder: Encoder = ENCODER, **index: Any
) -> Iterator[httpx.Client]:
    settings = gateway_settings(engine, shop, worker=worker, **index)
    with answering_gateway(settings, encoder) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def own(engine: ClusterSettings, shop: str, body: JSON = LOOSE) -> JSON:
    """The engine's own answer."""
    return without_time(httpx.post(f"{engine.url}/{shop}/_search", json=body, timeout=60).json())


def without_time(reply: JSON) -> JSON:
    return {**reply, "took": 0}


@pytest.mark.parametrize(
    ("encoder", "worker", "reason"),
    [(FailingEncoder(DIMS), "", "encode"), (OtherEncoder(DIMS), "", "dense"), (ENCODER, NOWHERE, "local")],
)
def test_a_broken_part_costs_the_better_order_and_nothing_else(
    elasticsearch: ClusterSettings, shop: str, encoder: Encoder, worker: str, reason: str
) -> None:
    with gateway(elasticsearch, shop, encoder=encoder, worker=worker) as client:
        reply = client.post(f"/{shop}/_search", json=LOOSE)
        lines = f'{{"index":"{shop}"}}\n{{"query":{{"match":{{"title":"red sofa"}}}},"size":3}}\n'
        several = client.post("/_msearch", content=lines, headers=NDJSON)

    assert reply.status_code == 200
    assert reply.headers["x-rerank"] == f"degraded;reason={reason}"
    assert without_time(reply.json()) == own(elasticsearch, shop)
    assert several.headers["x-rerank"] == "reranked;searches=0;of=1;degraded=1"
    assert without_time(several.json()["responses"][0]) == own(
        elasticsearch, shop, {"query": {"match": {"title": "red sofa"}}, "size": 3}
    ) | {"status": 200}


def test_a_worker_that_dies_between_two_searches_is_not_noticed(elasticsearch: ClusterSettings, shop: str) -> None:
    with contextlib.ExitStack() as alive:
        url = wait_ready(alive.enter_context(serving(create_app(OverlapScorer, WorkerSettings()))))
        with gateway(elasticsearch, shop, worker=url) as client:
            replies = [client.post(f"/{shop}/_search", json=LOOSE)]
            alive.close()
            replies.append(client.post(f"/{shop}/_search", json=LOOSE))  # the next page, of the order that is known
            replies.append(client.post(f"/{shop}/_search", json=LOOSE, headers={"X-Rerank": "fresh"}))

    outcomes = [reply.headers["x-rerank"].partition(";")[0] for reply in replies]
    assert outcomes == ["reranked", "reranked", "degraded"]
    assert without_time(replies[2].json()) == own(elasticsearch, shop)


def test_a_worker_that_dies_amid_many_searches_costs_none_of_them(elasticsearch: ClusterSettings, shop: str) -> None:
    with contextlib.ExitStack() as alive:
        worker = wait_ready(alive.enter_context(serving(create_app(OverlapScorer, WorkerSettings()))))
        with gateway(elasticsearch, shop, worker=worker) as client, ThreadPoolExecutor(8) as pool:

            def search(at: int) -> httpx.Response:
                if at == 8:
                    alive.close()
                return client.post(f"/{shop}/_search", json=LOOSE, headers={"X-Rerank": "fresh"})

            replies = [*pool.map(search, range(32)), search(32)]  # the last of them once the worker has ended

    assert {reply.status_code for reply in replies} == {200}
    assert {reply.headers["x-rerank"].partition(";")[0] for reply in replies} == {"reranked", "degraded"}
    assert all(len(reply.json()["hits"]["hits"]) == 7 for reply in replies)


def test_a_reranker_that_is_too_late_is_not_waited_for(elasticsearch: ClusterSettings, shop: str) -> None:
    with gateway(elasticsearch, shop, encoder=SlowEncoder(DIMS), deadline_s=0.2) as client:
        reply = client.post(f"/{shop}/_search", json=LOOSE)

    assert reply.headers["x-rerank"].startswith("degraded;reason=")
    assert without_time(reply.json()) == own(elasticsearch, shop)


class SlowEncoder(HashEncoder):
    """Takes longer than anybody waits."""

    def encode_query(self, text: str) -> Vector:
        threading.Event().wait(1)
        return super().encode_query(text)


async def test_an_engine_that_breaks_off_is_not_said_to_have_answered(
    elasticsearch: ClusterSettings, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(engine: ClusterSettings) -> httpx.Response:
        with gateway(engine, shop) as client:
            return client.post(f"/{shop}/_search", json=LOOSE)

    async with Proxy(elasticsearch.url, lambda seen: "reset" if seen.is_search else None) as proxy:
        reply = await asyncio.to_thread(ask, elasticsearch.model_copy(update={"url": proxy.url}))

    assert reply.status_code == 502
    assert not any("own answer" in record.getMessage() for record in caplog.records)


async def test_of_an_msearch_that_the_engine_breaks_off_nothing_is_said_that_is_not_so(
    elasticsearch: ClusterSettings, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its legs are answered, and not what is asked for in place of the order that was not found."""
    lines = f'{{"index":"{shop}"}}\n{{"query":{{"match":{{"title":"red sofa"}}}},"size":3}}\n'
    asked: list[str] = []

    def ask(engine: ClusterSettings) -> httpx.Response:
        with gateway(engine, shop, worker=NOWHERE) as client:
            return client.post("/_msearch", content=lines, headers=NDJSON)

    def fault(seen: Seen) -> Fault | None:
        asked.extend([seen.path] if seen.path == "/_msearch" else [])
        return "reset" if len(asked) > 1 and seen.path == "/_msearch" else None

    async with Proxy(elasticsearch.url, fault) as proxy:
        reply = await asyncio.to_thread(ask, elasticsearch.model_copy(update={"url": proxy.url}))

    assert len(asked) > 1
    assert reply.status_code == 502
    assert not any("own answer" in record.getMessage() for record in caplog.records)


def test_of_many_searches_at_once_as_many_are_reranked_as_fit(
    elasticsearch: ClusterSettings, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies: list[JSON] = [{"query": {"match": {"title": f"sofa {number}"}}, "size": 3} for number in range(FIRST + 20)]
    lines = "".join(f'{{"index":"{shop}"}}\n{json.dumps(body)}\n' for body in bodies)
    with gateway(elasticsearch, shop) as client:
        reply = client.post("/_msearch", content=lines, headers=NDJSON)
    theirs = httpx.post(f"{elasticsearch.url}/_msearch", content=lines, headers=NDJSON, timeout=60).json()["responses"]
    ours = reply.json()["responses"]

    assert reply.headers["x-rerank"] == f"reranked;searches={FIRST};of={FIRST + 20};left=20"
    assert len(ours) == len(theirs)
    assert [reply["hits"] for reply in ours[FIRST:]] == [reply["hits"] for reply in theirs[FIRST:]]
    assert [reply["hits"] for reply in ours[:FIRST]] != [reply["hits"] for reply in theirs[:FIRST]]
    assert f"20 of the {FIRST + 20} searches of an _msearch got the engine's own answer" in caplog.text


def test_an_index_that_cannot_be_opened_passes_through(
    elasticsearch: ClusterSettings, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    with gateway(elasticsearch, shop, fields={"nothing": 1}) as client:
        reply = client.post(f"/{shop}/_search", json=LOOSE)

    assert reply.headers["x-rerank"] == "passed;reason=index-not-open"
    assert without_time(reply.json()) == own(elasticsearch, shop)
    assert any("has no field 'nothing'" in record.getMessage() for record in caplog.records)


def test_in_shadow_mode_callers_get_the_engines_answer_and_the_difference_is_logged(
    elasticsearch: ClusterSettings, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with gateway(elasticsearch, shop, shadow=True) as client:
        reply = client.post(f"/{shop}/_search", json=LOOSE)
        several = client.post(
            "/_msearch", content=f'{{"index":"{shop}"}}\n{{"query":{{"match":{{"title":"sofa"}}}}}}\n', headers=NDJSON
        )
        wait_until(lambda: len(compared(caplog.records)) == 2)
        client.post(f"/{shop}/_search?filter_path=hits.hits._source", json=LOOSE)
        wait_until(lambda: f"shadow of {shop}: not compared: " in caplog.text)
        refused = client.post(f"/{shop}/_search", json=LOOSE | {"aggs": {"b": {"terms": {"size": -1}}}})

    with gateway(elasticsearch, shop, shadow=True, encoder=FailingEncoder(DIMS)) as client:
        client.post(f"/{shop}/_search", json=LOOSE)
        wait_until(lambda: f"shadow of {shop}: no answer of ours: encode" in caplog.text)

    assert len(compared(caplog.records)) == 2
    assert "a fault" not in caplog.text
    assert refused.status_code == 400
    assert reply.headers["x-rerank"] == "passed;reason=shadow"
    assert without_time(reply.json()) == own(elasticsearch, shop)
    assert len(several.json()["responses"][0]["hits"]["hits"]) == 10
    first = next(record for record in compared(caplog.records) if record.__dict__["k"] == 7)
    assert first.__dict__["index"] == shop
    assert 0 <= first.__dict__["overlap"] <= 7
    assert "sofa" not in first.getMessage()


def compared(records: Sequence[logging.LogRecord]) -> list[logging.LogRecord]:
    return [record for record in records if "overlap" in record.__dict__]


def test_a_share_of_the_searches_is_reranked_always_the_same(elasticsearch: ClusterSettings, shop: str) -> None:
    def outcome_of(client: httpx.Client, text: str, start: int) -> str:
        body = {"query": {"match": {"title": text}}, "from": start, "size": 2}
        return client.post(f"/{shop}/_search", json=body).headers["x-rerank"].partition(";w")[0]

    texts = [f"{colour} {noun}" for colour in ("red", "blue", "green", "white") for noun in ("sofa", "lamp", "rug")]
    with gateway(elasticsearch, shop, share=0.5) as client:
        pages = [[outcome_of(client, text, start) for start in (0, 2)] for text in texts]
        bodies = [json.dumps({"query": {"match": {"title": text}}, "size": 2}) for text in texts]
        content = "".join(f'{{"index":"{shop}"}}\n{body}\n' for body in bodies)
        several = client.post("/_msearch", content=content, headers=NDJSON).headers["x-rerank"]

    assert all(first == second for first, second in pages)
    assert {page[0] for page in pages} == {"reranked", "passed;reason=share"}
    assert several == f"reranked;searches={[page[0] for page in pages].count('reranked')};of={len(texts)}"


def test_exact_numbers_count_what_the_dense_leg_found(elasticsearch: ClusterSettings, shop: str) -> None:
    body = {"query": {"match": {"text": "red sofa"}}, "size": 5, "aggs": {"b": {"terms": {"field": "brand"}}}}
    with gateway(elasticsearch, shop, exact=True) as client:
        pages = [
            client.post(f"/{shop}/_search", json=body | {"from": start}, headers={"X-Rerank": "union"}).json()
            for start in range(0, 200, 5)
        ]
        lines = f'{{"index":"{shop}"}}\n{{"query":{{"match":{{"text":"red sofa"}}}},"size":5}}\n'
        several = client.post("/_msearch", content=lines, headers=NDJSON)
    first = pages[0]
    ids = [hit["_id"] for page in pages for hit in page["hits"]["hits"]]
    scores = [hit["_score"] for page in pages for hit in page["hits"]["hits"]]

    assert first["hits"]["total"]["value"] == len(ids) == len(set(ids))
    assert first["hits"]["total"]["value"] > own(elasticsearch, shop, body)["hits"]["total"]["value"]
    assert sum(bucket["doc_count"] for bucket in first["aggregations"]["b"]["buckets"]) == len(ids)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert several.json()["responses"][0]["hits"] == first["hits"]
