"""The server that `make bench-ingest` writes into."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

BENCH = Path(__file__).parents[2] / "bench"


def test_it_takes_connections_as_soon_as_it_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from sink import running_sink

    with running_sink() as url:
        socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0)).close()
        reply = httpx.get(url)

    assert reply.headers["x-elastic-product"] == "Elasticsearch"
