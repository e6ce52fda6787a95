"""What a collector gets from a worker: real spans over OTLP, received by a server of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.parts import OverlapScorer, serving, wait_until
from support.servers.collector import Collector, collecting

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def test_a_request_is_a_span_of_its_callers_trace_with_its_stages_below(collector: Collector) -> None:
    with serving(create_app(OverlapScorer, WorkerSettings(otlp_url=collector.url))) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        body = {"query": "red", "texts": ["red", "blue"]}
        assert httpx.post(f"{url}/rerank", json=body, headers=headers).status_code == 200
        httpx.get(f"{url}/health")
    wait_until(lambda: len(collector.spans) >= 3)

    spans = {span.name: span for span in collector.spans}
    (request,) = (span for name, span in spans.items() if "/rerank" in name)
    assert len(spans) == 3
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert request.parent_span_id.hex() == CALLER
    assert spans["tokenize"].parent_span_id == spans["batches"].parent_span_id == request.span_id
    attributes = {attribute.key: attribute.value for attribute in spans["batches"].attributes}
    assert (attributes["connector.inputs"].int_value, attributes["connector.tokens"].int_value) == (2, 2)
    assert attributes["connector.queue_ms"].double_value >= 0
    assert collector.services == {"connector-worker"}


def test_a_collector_that_is_away_costs_no_request() -> None:
    with serving(create_app(OverlapScorer, WorkerSettings(otlp_url="http://127.0.0.1:9"))) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        assert httpx.post(f"{url}/rerank", json={"query": "red", "texts": ["red"]}).status_code == 200
