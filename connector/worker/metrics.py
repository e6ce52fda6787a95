"""What the worker counts, for Prometheus: GET /metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WorkerStage = Literal["tokenize", "queue", "model"]
PREFIX = "connector_worker_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# (name, what it counts, whether it only grows, how to read it)
Reading = tuple[str, str, bool, Callable[[], float]]


class Metrics:
    """A registry of its own, so that several workers fit into one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "requests answered", "path", "status")
        self._request_seconds = self._histogram(
            "request_seconds", "from a request's first byte to its reply", SECONDS, "path"
        )
        self._stage_seconds = self._histogram(
            "stage_seconds", "tokenize and queue: of a request; model: of a batch", SECONDS, "stage"
        )
        self._inputs = self._histogram("batch_inputs", "inputs in a batch", COUNTS)
        self._fill = self._histogram("batch_fill_ratio", "tokens of a batch that are no padding", SHARES)
        self._tokens = self._counter("tokens", "tokens that the model read, without padding")
        self._pairs = self._counter("pairs", "pairs scored, by the model or from memory", "source")
        self._unscored = self._counter("unscored", "pairs that were not scored within the caller's budget")

    def read(self, readings: Iterable[Reading]) -> None:
        """Export what is counted elsewhere, read whenever somebody asks."""
        self.registry.register(_Readings(list(readings)))

    def text(self) -> bytes:
        return generate_latest(self.registry)

    @contextmanager
    def stage(self, name: WorkerStage) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.observe(name, time.monotonic() - began)

    def observe(self, stage: WorkerStage, took_s: float) -> None:
        self._stage_seconds.labels(stage).observe(took_s)

    def record_batch(self, took_s: float, lengths: Sequence[int]) -> None:
        self.observe("model", took_s)
        self._inputs.observe(len(lengths))
        self._fill.observe(sum(lengths) / (max(*lengths, 1) * len(lengths)))
        self._tokens.inc(sum(lengths))

    def count_pairs(self, source: Literal["model", "cache"], pairs: int) -> None:
        self._pairs.labels(source).inc(pairs)

    def count_unscored(self, pairs: int) -> None:
        self._unscored.inc(pairs)

    def count_request(self, path: str, status: int, took_s: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._request_seconds.labels(path).observe(took_s)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, what, labels, buckets=buckets, registry=self.registry)


class _Readings:
    """A collector, as prometheus_client calls what is asked for its values."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for name, what, grows, value in self._readings:
            yield (CounterMetricFamily if grows else GaugeMetricFamily)(PREFIX + name, what, value=value())


class CountRequests:
    """Counts every reply by its path and status; paths that the worker does not have count as one."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(path, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, note)


__all__ = ["CONTENT_TYPE", "CountRequests", "Metrics", "Reading"]
