"""OpenTelemetry: a span for each request, and within it one for its tokens and one for its batches."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer

from connector.traces import open_spans, watch_requests

SERVICE = "connector-worker"
UNTRACED = "health,ready,metrics"


class Traces:
    """Sends spans to a collector; without its URL nothing is traced."""

    def __init__(self, otlp_url: str | None) -> None:
        """`otlp_url` takes OTLP over HTTP: http://collector:4318. Raises MissingExtra where there is no `traces`."""
        self._provider: Any = open_spans(otlp_url, service=SERVICE, setting="worker.otlp_url") if otlp_url else None
        self.tracer: Tracer = self._provider.get_tracer(SERVICE) if self._provider else NoOpTracer()

    def watch(self, app: FastAPI) -> None:
        """Make a span of every request, within its caller's where the request names one (traceparent)."""
        if self._provider:
            watch_requests(app, self._provider, untraced=UNTRACED)

    def close(self) -> None:
        """Send what has not been sent."""
        if self._provider:
            self._provider.shutdown()
