"""What the worker counts, for Prometheus: GET /metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from connector.metrics import PrefixedRegistry

WorkerStage = Literal["tokenize", "queue", "model"]
PREFIX = "connector_worker_"
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# (name, what it counts, whether it only grows, how to read it)
Reading = tuple[str, str, bool, Callable[[], float]]


class Metrics:
    """A registry of its own, so that several workers fit into one process."""

    def __init__(self) -> None:
        self.registry = registry = PrefixedRegistry(PREFIX)
        self._requests = registry.counter("requests", "requests answered", "path", "status")
        self._request_seconds = registry.histogram(
            "request_seconds", "from a request's first byte to its reply", "path"
        )
        self._stage_seconds = registry.histogram(
            "stage_seconds", "tokenize and queue: of a request; model: of a batch", "stage"
        )
        self._inputs = registry.histogram("batch_inputs", "inputs in a batch", buckets=COUNTS)
        self._fill = registry.histogram("batch_fill_ratio", "tokens of a batch that are no padding", buckets=SHARES)
        self._tokens = registry.counter("tokens", "tokens that the model read, without padding")
        self._pairs = registry.counter("pairs", "pairs scored, by the model or from memory", "source")
        self._unscored = registry.counter("unscored", "pairs that were not scored within the caller's budget")

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


class _Readings:
    """A collector, as prometheus_client calls what is asked for its values."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for name, documentation, grows, value in self._readings:
            yield (CounterMetricFamily if grows else GaugeMetricFamily)(PREFIX + name, documentation, value=value())


__all__ = ["CONTENT_TYPE", "Metrics", "Reading"]
