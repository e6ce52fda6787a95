"""OpenTelemetry's spans, sent to a collector by the servers of ours."""

from __future__ import annotations

from typing import Any

from connector.extras import needs

TIMEOUT_S = 3.0  # for the collector to answer, also when the server ends


def open_spans(otlp_url: str, *, service: str, setting: str) -> Any:
    """What makes a service's spans and sends them by OTLP over HTTP (http://collector:4318); its `shutdown` sends what
    is left. Raises MissingExtra where there is no `traces`, naming the setting."""
    with needs("traces", setting):
        import opentelemetry.instrumentation.asgi  # noqa: F401 - only whether it is there
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{otlp_url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S))
    )
    return provider


def watch_requests(app: Any, provider: Any, *, untraced: str) -> None:
    """Make a span of every request to an application, within its caller's where the request names one (traceparent);
    of paths that are `untraced`, by comma, none."""
    with needs("traces", "a span for each request"):
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.util.http import parse_excluded_urls
    app.add_middleware(
        OpenTelemetryMiddleware,
        tracer_provider=provider,
        excluded_urls=parse_excluded_urls(untraced),
        exclude_spans=["receive", "send"],
    )
