"""Which failures are waited out, as an outage is, and which end what is followed."""

from __future__ import annotations

from connector.clusters.reasons import says_closed
from connector.errors import (
    AccessDenied,
    CircuitOpen,
    ClusterError,
    ClusterUnavailable,
    DiskError,
    IndexGone,
    IndexMissing,
    WorkerError,
    WorkerUnavailable,
)

TIMED_OUT, MISSING, TOO_EARLY = 408, 404, 425


def may_pass(error: BaseException) -> bool:
    """Whether the same may work later with nothing changed here: a shard that failed, an index that is closed for a
    moment, any failure on the server's side, a full disk. What else than the index is missing, as behind a proxy, may
    come back."""
    match error:
        case ClusterUnavailable() | WorkerUnavailable() | CircuitOpen() | DiskError():
            return True
        case AccessDenied() | IndexGone() | IndexMissing():
            return False
        case ClusterError() if says_closed(error):
            return True
        case ClusterError() | WorkerError():
            return error.status is None or error.status >= 500 or error.status in (TIMED_OUT, MISSING, TOO_EARLY)
    return False
