"""A worker over HTTP with a scorer that counts words, and one that waits at a gate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.parts import Gate, OverlapScorer, serving
from support.worker.worker_app import SETTINGS, wait_ready

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app


@pytest.fixture(scope="module")
def scorer() -> OverlapScorer:
    return OverlapScorer()


@pytest.fixture(scope="module")
def url(scorer: OverlapScorer) -> Iterator[str]:
    with serving(create_app(lambda: scorer, SETTINGS)) as served:
        yield wait_ready(served)


@pytest.fixture
def gate() -> Gate:
    return Gate(is_open=True)


@pytest.fixture
def gated(gate: Gate) -> Iterator[tuple[str, OverlapScorer]]:
    """A worker with a line of two whose scorer waits at the gate."""
    scorer = OverlapScorer(gate)
    with serving(create_app(lambda: scorer, WorkerSettings(max_waiting=2))) as url:
        wait_ready(url)
        gate.open.clear()
        gate.entered.clear()
        try:
            yield url, scorer
        finally:
            gate.open.set()
