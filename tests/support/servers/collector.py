"""A collector of spans: what is sent to it by OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.servers.http_server import QuietHandler, listening


@dataclass
class Collector:
    """What it was sent."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)


@contextmanager
def collecting() -> Iterator[Collector]:
    """One that runs."""
    collector = Collector()

    class Receiver(QuietHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in sent.resource_spans:
                collector.services |= {
                    item.value.string_value for item in resource.resource.attributes if item.key == "service.name"
                }
                collector.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

    with listening(Receiver) as collector.url:
        yield collector
