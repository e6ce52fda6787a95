"""A span for each search that the gateway looks at: within its caller's, and around those of engine and worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connector.gateway.exchange import Headers
from connector.trace_context import PARENT, STATE, carrying, trace_headers
from connector.traces import open_spans

SERVICE = "connector-gateway"
OF_TRACES = frozenset((PARENT.encode(), STATE.encode()))


class SearchSpans:
    """Sends spans to a collector; without its URL the caller's trace goes on as it came."""

    def __init__(self, otlp_url: str | None) -> None:
        """Raises MissingExtra where there is no `traces`."""
        self._provider: Any = open_spans(otlp_url, service=SERVICE, setting="gateway.otlp_url") if otlp_url else None

    @contextmanager
    def search(self, method: str, raw_path: bytes, headers: Headers) -> Iterator[SearchSpan]:
        """One for a request with these headers, to which what is done within the block belongs."""
        with carrying(headers):
            if self._provider is None:
                yield SearchSpan()
                return
            from opentelemetry.propagate import extract
            from opentelemetry.trace import SpanKind

            path = raw_path.decode("ascii", "replace")
            attributes = {"http.request.method": method, "url.path": path}
            with self._provider.get_tracer(SERVICE).start_as_current_span(
                f"{method} {path}", extract(trace_headers()), SpanKind.SERVER, attributes
            ) as span:
                yield SearchSpan(span)

    async def close(self) -> None:
        """Send what has not been sent."""
        if self._provider:
            await asyncio.to_thread(self._provider.shutdown)


class SearchSpan:
    """The span of one request, where there is one."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def within(self, headers: Headers) -> Headers:
        """The headers of a request that belongs to it: its caller's own where there is no span."""
        if self._span is None:
            return headers
        kept = tuple(pair for pair in headers if pair[0].lower() not in OF_TRACES)
        return kept + tuple((name.encode(), value.encode()) for name, value in trace_headers().items())

    def say(self, outcome: bytes, status: int | None = None) -> None:
        """What was done to the search, as its reply says it."""
        if self._span is not None:
            self._span.set_attribute("connector.rerank", outcome.decode("ascii", "replace"))
            if status is not None:
                self._span.set_attribute("http.response.status_code", status)
