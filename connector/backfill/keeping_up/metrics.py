"""How far behind what is followed is, indices and sources, for Prometheus: GET /metrics on a port of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from prometheus_client import start_http_server

from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.report import BackfillCounts
from connector.errors import SettingsError
from connector.ingest.following.account import FollowReport
from connector.metrics import PrefixedRegistry

PREFIX = "connector_follow_"
HOST = "127.0.0.1"


class FollowMetrics:
    """What a Prometheus server reads of one process that follows."""

    def __init__(self, silent_s: float) -> None:
        """A follower of an index that says nothing for so long hangs, and falls behind."""
        self.registry = registry = PrefixedRegistry(PREFIX)
        self._silent_s = silent_s
        self._operations = registry.gauge("behind_operations", "operations that nobody has looked at yet", "index")
        self._seconds = registry.gauge("behind_seconds", "seconds since everything written by then was right", "index")
        self._trouble = registry.gauge("in_trouble", "1 while no look can be taken", "index")
        self._documents = registry.gauge("documents", "what became of documents since the start", "index", "outcome")

    def tell_behind(self, index: str, behind: PassageLag) -> None:
        self._operations.labels(index).set(behind.operations)
        grown = partial(_grow, behind.seconds, time.monotonic(), self._silent_s)
        self._seconds.labels(index).set_function(grown)
        self._trouble.labels(index).set(bool(behind.trouble))

    def tell_counts(self, index: str, counts: BackfillCounts) -> None:
        for outcome in ("written", "unchanged", "without_text", "gone", "refused", "contested", "again"):
            self._documents.labels(index, outcome).set(getattr(counts, outcome))

    def tell_source(self, index: str, report: FollowReport) -> None:
        """The same of a source that is written to an index: its changes that wait are the operations."""
        self._operations.labels(index).set(report.lag.waiting)
        self._seconds.labels(index).set(report.lag.seconds)
        self._trouble.labels(index).set(bool(report.stopped))
        for outcome in ("written", "unchanged", "removed", "failed"):
            self._documents.labels(index, outcome).set(getattr(report.counts, outcome))

    def forget(self, index: str) -> None:
        """What was followed is there no more, and so is behind no more."""
        for gauge in (self._operations, self._seconds, self._trouble):
            gauge.labels(index)  # which makes one where none was told; to remove none is an error in some versions
            gauge.remove(index)

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


def _grow(seconds: float, heard_at: float, silent_s: float) -> float:
    """How far behind it is by now: between two looks, and while one does not come back."""
    since = time.monotonic() - heard_at
    return seconds + since if seconds or since > silent_s else 0.0
