"""What an application counts, for Prometheus: names that begin alike, and a look at every reply."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class PrefixedRegistry(CollectorRegistry):
    """The metrics of one application, so that several fit into one process; all their names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(self._prefix + name, documentation, labels, registry=self)

    def gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(self._prefix + name, documentation, labels, registry=self)

    def histogram(self, name: str, documentation: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        return Histogram(self._prefix + name, documentation, labels, buckets=buckets, registry=self)


class WatchReplies:
    """Says of every reply its path, its status, and the seconds until it began; paths that the application does not
    have are one, `other`."""

    def __init__(self, app: ASGIApp, on_reply: Callable[[str, int, float], None], paths: frozenset[str]) -> None:
        self._app, self._on_reply, self._paths = app, on_reply, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_reply(path, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, note)
