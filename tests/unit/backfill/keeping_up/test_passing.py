"""Which failures end what is followed."""

from __future__ import annotations

import pytest

from connector.backfill.in_place.meta_guard import VectorsTakenOut
from connector.backfill.keeping_up.passing import may_pass
from connector.clusters.failures import refusal
from connector.errors import (
    AccessDenied,
    ClusterError,
    ClusterUnavailable,
    ConnectorError,
    DiskError,
    IndexGone,
    IndexMissing,
    WorkerError,
)
from connector.settings.sections import ClusterSettings

CLOSED = {"error": {"type": "index_closed_exception", "reason": "closed"}}


@pytest.mark.parametrize(
    "error",
    [
        ClusterUnavailable("away"),
        ClusterError("a shard failed"),
        ClusterError("failed inside", status=500),
        ClusterError("no such path, says a proxy", status=404),
        refusal(ClusterSettings(), 400, CLOSED, asker=""),
        WorkerError("vectors of another length"),
        DiskError("no room"),
    ],
)
def test_what_may_pass_is_waited_out(error: ConnectorError) -> None:
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        AccessDenied("no", status=403),
        IndexGone("gone", status=404),
        IndexMissing("shop", "here"),
        ClusterError("no such query", status=400),
        VectorsTakenOut("out"),
        WorkerError("no such key", status=401),
    ],
)
def test_what_does_not_pass_is_not(error: ConnectorError) -> None:
    assert not may_pass(error)
