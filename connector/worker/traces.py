"""OpenTelemetry: a span for each request, and within it one for its tokens and one for its batches."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer

from connector.extras import needs

SERVICE = "connector-worker"
UNTRACED = "health,ready,metrics"
TIMEOUT_S = 3.0  # for the collector to answer, also when the worker ends


class Traces:
    """Sends spans to a collector; without its URL nothing is traced."""

    def __init__(self, otlp_url: str | None) -> None:
        """`otlp_url` takes OTLP over HTTP: http://collector:4318. Raises MissingExtra where there is no `traces`."""
        self._provider: Any = _provider(otlp_url) if otlp_url else None
        self.tracer: Tracer = self._provider.get_tracer(SERVICE) if self._provider else NoOpTracer()

    def watch(self, app: FastAPI) -> None:
        """Make a span of every request, within its caller's where the request names one (traceparent)."""
        if self._provider:
            from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

            app.add_middleware(
                OpenTelemetryMiddleware,
                tracer_provider=self._provider,
                excluded_urls=UNTRACED,
                exclude_spans=["receive", "send"],
            )

    def close(self) -> None:
        """Send what has not been sent."""
        if self._provider:
            self._provider.shutdown()


def _provider(otlp_url: str) -> Any:
    with needs("traces", "worker.otlp_url"):
        import opentelemetry.instrumentation.asgi  # noqa: F401 - only whether it is there
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{otlp_url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S))
    )
    return provider
