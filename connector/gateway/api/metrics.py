"""What the API and the gateway beside it count, for Prometheus: GET /metrics. Of this process alone."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.gateway.outcomes import Outcomes
from connector.trace_context import carrying
from connector.types import SearchResponse

PREFIX = "connector_gateway_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ApiMetrics:
    """A registry of its own, so that several applications fit into one process."""

    def __init__(self, outcomes: Outcomes | None = None) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "requests to the API", "path", "status")
        self._stage_seconds = self._histogram("stage_seconds", "stages of searches; total: whole searches", "stage")
        self._searches = self._counter("searches", "searches answered by the API", "outcome")
        self._degraded = self._counter("degraded", "parts of searches that failed or came late", "stage")
        self._events = self._counter("events", "events and queries for feedback, by what became of them", "outcome")
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

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(PREFIX + name, what, labels, buckets=SECONDS, registry=self.registry)


class _PassedOn:
    """A collector: the searches of the gateway on the other port."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            PREFIX + "intercepted", "_search and _msearch of the named indexes", labels=("outcome", "cause")
        )
        for (outcome, cause), number in self._outcomes.counts.items():
            family.add_metric((outcome, cause), number)
        yield family


def metrics_routes(metrics: ApiMetrics) -> APIRouter:
    """The route, for an application."""
    router = APIRouter()

    @router.get("/metrics", response_model=None, responses={200: {"content": {"text/plain": {}}}})
    async def read() -> Response:
        """Counts of this process, as Prometheus reads them."""
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


class WatchRequests:
    """Counts every reply by its path and status, and takes the caller's trace along; paths that the API does not have
    count as one."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(path, message["status"])
            await send(message)

        with carrying(scope["headers"]):
            await self._app(scope, receive, note)
