"""What the API and the gateway beside it count, for Prometheus: GET /metrics. Of this process alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.gateway.outcomes import Outcomes
from connector.metrics import PrefixedRegistry, WatchReplies
from connector.trace_context import carrying
from connector.types import SearchResponse

PREFIX = "connector_gateway_"


class ApiMetrics:
    """A registry of its own, so that several applications fit into one process."""

    def __init__(self, outcomes: Outcomes | None = None) -> None:
        self.registry = registry = PrefixedRegistry(PREFIX)
        self._requests = registry.counter("requests", "requests to the API", "path", "status")
        self._stage_seconds = registry.histogram("stage_seconds", "stages of searches; total: whole searches", "stage")
        self._searches = registry.counter("searches", "searches answered by the API, whole or degraded", "outcome")
        self._degraded = registry.counter("degraded", "parts of searches that failed or came late", "stage")
        self._events = registry.counter("events", "events and queries for feedback, by what became of them", "outcome")
        if outcomes:
            self.registry.register(_PassedOn(outcomes))

    def count_request(self, path: str, status: int) -> None:
        self._requests.labels(path, str(status)).inc()

    def count_search(self, response: SearchResponse) -> None:
        self._searches.labels("degraded" if response.degraded else "whole").inc()
        for stage, took_ms in response.took_ms.items():
            self._stage_seconds.labels(stage).observe(took_ms / 1000)
        for missing in response.degraded:
            self._degraded.labels(missing.stage).inc()

    def count_events(self, outcome: str, number: int) -> None:
        self._events.labels(outcome).inc(number)


class _PassedOn:
    """A collector: the searches of the gateway on the other port."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            PREFIX + "intercepted",
            "searches through the gateway: bounded, union, degraded or passed, as X-Rerank says of a _search; each of "
            "an _msearch as reranked, degraded, passed, or left where no more fit into the deadline",
            labels=("outcome", "cause"),
        )
        for (outcome, cause), number in self._outcomes.counts.items():
            family.add_metric((outcome, cause), number)
        yield family


def metrics_routes(metrics: ApiMetrics) -> APIRouter:
    """The route, for an application."""
    router = APIRouter()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def read() -> Response:
        """Counts of this process alone, as Prometheus reads them; of several, any one answers."""
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


class WatchRequests:
    """Counts every reply by its path and status, and takes the caller's trace along; paths that the API does not have
    count as one."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, paths: frozenset[str]) -> None:
        self._watched = WatchReplies(app, lambda path, status, _: metrics.count_request(path, status), paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with carrying(scope["headers"]) if scope["type"] == "http" else nullcontext():
            await self._watched(scope, receive, send)
