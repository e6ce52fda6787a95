"""How far behind what is followed is, indices and sources, for Prometheus: GET /metrics on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.report import BackfillCounts
from connector.errors import SettingsError
from connector.ingest.following.account import FollowReport

PREFIX = "connector_follow_"
HOST = "127.0.0.1"


class FollowMetrics:
    """What a Prometheus server reads of one process that follows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, what, labels, registry=self.registry)

        self._operations = gauge("behind_operations", "operations that nobody has looked at yet", "index")
        self._seconds = gauge("behind_seconds", "seconds since everything written by then was right", "index")
        self._trouble = gauge("in_trouble", "1 while no look can be taken", "index")
        self._documents = gauge("documents", "what became of documents since the start", "index", "outcome")

    def tell_behind(self, index: str, behind: PassageLag) -> None:
        self._operations.labels(index).set(behind.operations)
        self._seconds.labels(index).set(behind.seconds)
        self._trouble.labels(index).set(bool(behind.trouble))

    def tell_counts(self, index: str, counts: BackfillCounts) -> None:
        for outcome in ("written", "unchanged", "without_text", "gone", "refused", "contested", "again"):
            self._documents.labels(index, outcome).set(getattr(counts, outcome))

    def tell_source(self, index: str, report: FollowReport) -> None:
        """The same of a source that is written to an index: its changes that wait are the operations."""
        self.tell_behind(index, PassageLag(report.lag.waiting, report.lag.seconds, report.stopped or ""))
        for outcome in ("written", "unchanged", "removed", "failed"):
            self._documents.labels(index, outcome).set(getattr(report.counts, outcome))

    @contextmanager
    def serving(self, port: int, host: str = HOST) -> Iterator[int]:
        """Serve them from a thread for as long as the block lasts; the port. Raises SettingsError where it is taken."""
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise SettingsError(
                f"cannot serve metrics on port {port}: {error}; choose another --metrics-port"
            ) from error
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
