"""What is counted, what is logged of slow searches, and the trace that goes on to the worker and the engine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway.gateway_api import api_settings, running_api
from support.gateway.gateways import ByteEngine, running_gateway
from support.parts import OverlapScorer, serving, wait_until
from support.servers.collector import collecting
from support.worker.worker_app import SETTINGS, wait_ready

from connector.clusters.elasticsearch_client import ElasticsearchClient
from connector.gateway.exchange import BufferedReply, BufferedRequest, Interception, NotIntercepted, Upstream
from connector.gateway.outcomes import Outcomes
from connector.settings.sections import ClusterSettings
from connector.trace_context import carrying, trace_headers
from connector.worker.app import create_app

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


HEARD: list[str | None] = []


@pytest.fixture
def heard() -> list[str | None]:
    """The traces of the requests for scores that come to the worker from now on."""
    HEARD.clear()
    return HEARD


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    app = create_app(OverlapScorer, SETTINGS)

    async def hearing(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/rerank":
            given = {name.decode(): value.decode() for name, value in scope["headers"]}
            HEARD.append(given.get("traceparent"))
        await app(scope, receive, send)

    with serving(hearing) as url:
        yield wait_ready(url)


def test_stages_and_what_failed_are_counted(store: str) -> None:
    outcomes = Outcomes()
    for header in (
        b"reranked;window=9;mode=bounded",
        b"degraded;reason=deadline",
        b"passed;reason=sort",
        b"reranked;searches=2;of=9;degraded=1;left=2",
    ):
        outcomes.count(BufferedReply(200, ((b"X-Rerank", header),), b""))
    outcomes.count(NotIntercepted("size"))
    with running_api(api_settings(store, worker="http://127.0.0.1:9"), outcomes) as api:
        answers = [api.post("/v1/search", json={"query": "red", "rerank": rerank}).json() for rerank in (None, False)]
        api.post("/v1/search", json={"query": ""})
        api.get("/no/such/page")
        metrics = api.get("/metrics").text

    lines = set(metrics.splitlines())
    took_s = re.search(r'stage_seconds_sum\{stage="total"\} ([\d.e-]+)', metrics)
    assert took_s
    assert float(took_s[1]) == pytest.approx(sum(answer["took_ms"]["total"] for answer in answers) / 1000)
    assert {
        'connector_gateway_searches_total{outcome="whole"} 1.0',
        'connector_gateway_searches_total{outcome="degraded"} 1.0',
        'connector_gateway_stage_seconds_count{stage="total"} 2.0',
        'connector_gateway_stage_seconds_count{stage="encode"} 2.0',
        'connector_gateway_degraded_total{stage="local"} 1.0',
        'connector_gateway_requests_total{path="/v1/search",status="400"} 1.0',
        'connector_gateway_requests_total{path="other",status="404"} 1.0',
        'connector_gateway_intercepted_total{cause="",outcome="bounded"} 1.0',
        'connector_gateway_intercepted_total{cause="",outcome="reranked"} 2.0',
        'connector_gateway_intercepted_total{cause="",outcome="left"} 2.0',
        'connector_gateway_intercepted_total{cause="",outcome="degraded"} 1.0',
        'connector_gateway_intercepted_total{cause="deadline",outcome="degraded"} 1.0',
        'connector_gateway_intercepted_total{cause="",outcome="passed"} 6.0',
    } - lines == set()


def test_a_slow_search_is_logged_with_its_stages_and_its_text_only_where_allowed(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = "connector.gateway.api.slow"
    for gateway in ({"slow_query_ms": 0}, {"slow_query_ms": 0.01, "log_query_text": True}, {"slow_query_ms": 60_000}):
        away = "http://127.0.0.1:9" if "log_query_text" in gateway else ""
        with running_api(api_settings(store, worker=away, gateway=gateway)) as api:
            answer = api.post("/v1/search", json={"query": "red fish"}).json()
        if gateway["slow_query_ms"] > 1:
            break
        (record,) = (record for record in caplog.records if record.name == logger)
        assert record.levelno == logging.WARNING
        assert answer["query_id"] in record.getMessage()
        assert " encode_ms=" in record.getMessage()
        assert ("red fish" in record.getMessage()) == ("log_query_text" in gateway)
        assert (" degraded=local" in record.getMessage()) == bool(away)
        caplog.clear()

    assert [record for record in caplog.records if record.name == logger] == []


def test_the_callers_trace_goes_on_to_the_worker(store: str, worker: str, heard: list[str | None]) -> None:
    with running_api(api_settings(store, worker=worker)) as api:
        for headers in ({"traceparent": TRACE}, {"traceparent": "not one"}, {}):
            api.post("/v1/search", json={"query": "red"}, headers=headers)

    assert heard == [TRACE, None, None]


def test_a_request_is_a_span_that_the_worker_s_is_within(store: str, worker: str, heard: list[str | None]) -> None:
    with collecting() as collector:
        with running_api(api_settings(store, worker=worker, gateway={"otlp_url": collector.url})) as api:
            api.post("/v1/search", json={"query": "red"}, headers={"traceparent": TRACE})
        wait_until(lambda: bool(collector.spans))

    (span,) = collector.spans
    _, trace, caller, _ = TRACE.split("-")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace, caller)
    assert heard == [f"00-{trace}-{span.span_id.hex()}-01"]
    assert collector.services == {"connector-gateway"}


def test_the_trace_goes_on_to_the_engine_with_the_credentials() -> None:
    client = ElasticsearchClient(ClusterSettings(url="http://127.0.0.1:9"))
    with carrying([(b"Traceparent", TRACE.encode()), (b"tracestate", b"vendor=1")]):
        inside = client.header()

    assert inside == {"traceparent": TRACE, "tracestate": "vendor=1"}
    assert client.header() == {}


class Tracing:
    """Replies with the trace that it works in, and with the one that a request to the engine would name."""

    def wants(self, method: str, raw_path: bytes) -> bool:
        return True

    async def answer(self, asked: BufferedRequest, upstream: Upstream) -> Interception:
        if b"passes" in asked.raw_path:
            return NotIntercepted("sort")
        named = dict(asked.headers).get(b"traceparent", b"none")
        worked_in = trace_headers().get("traceparent", "none").encode()
        return BufferedReply(200, ((b"X-Rerank", b"reranked;window=9;mode=union"),), named + b" " + worked_in)

    async def close(self) -> None: ...


def search(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\ntraceparent: {TRACE}\r\n\r\n".encode()


def test_an_intercepted_search_is_within_the_callers_trace() -> None:
    with ByteEngine().running() as engine, running_gateway(engine.url, interceptor=Tracing()) as gateway:
        reply = gateway.ask(search("/a/_search"))

    assert reply.endswith(f"{TRACE} {TRACE}".encode())


def test_an_intercepted_search_is_a_span_that_those_of_engine_and_worker_are_within() -> None:
    with collecting() as collector, ByteEngine().running() as engine:
        with running_gateway(engine.url, interceptor=Tracing(), otlp_url=collector.url) as gateway:
            replies = [gateway.ask(search(path)) for path in ("/a/_search", "/passes/_search")]
        wait_until(lambda: len(collector.spans) == 2)

    _, trace, caller, _ = TRACE.split("-")
    spans = {span.name: span for span in collector.spans}
    reranked, passed = (spans[f"GET /{index}/_search"] for index in ("a", "passes"))
    attributes = [{attribute.key: attribute.value for attribute in span.attributes} for span in (reranked, passed)]
    inner = f"00-{trace}-{reranked.span_id.hex()}-01".encode()
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in spans.values()} == {(trace, caller)}
    assert replies[0].endswith(inner + b" " + inner)
    assert [names["connector.rerank"].string_value for names in attributes] == [
        "reranked;window=9;mode=union",
        "passed;reason=sort",
    ]
    assert f"traceparent: {TRACE}".encode() in engine.seen[-1]
    assert collector.services == {"connector-gateway"}
