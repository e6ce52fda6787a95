"""The programs in examples/ run as they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.remote.process import WorkerProcess

pytestmark = pytest.mark.timeout(900)  # whichever is first waits for the demo


def test_the_demo_prints_four_rankings_and_their_measures(demo: Any) -> None:
    figures = json.loads(demo.printed.splitlines()[-1])

    assert figures["queries"] == 5
    assert set(figures["measures"]) == {"lexical", "dense", "fused", "reranked"}
    assert all(set(one) == {"nDCG@10", "RR@10", "R@50"} for one in figures["measures"].values())
    assert figures["measures"]["fused"]["R@50"] > 0.5
    assert figures["degraded"] == 0
    assert list(figures["after_s"]) == ["loaded", "ingested", "worker", "first answer", "all"]
    assert sorted(figures["after_s"].values()) == list(figures["after_s"].values())
    assert all(f"{stage} (" in demo.printed for stage in ("lexical", "dense", "fused", "local"))
    assert sorted(path.name for path in demo.folder.iterdir()) == ["demo-store"]  # nothing else is left behind


def test_the_library_example_prints_reranked_hits(demo: Any, worker: WorkerProcess) -> None:
    variables = {
        "CONNECTOR_CLUSTER_URL": "embedded:demo-store",
        "CONNECTOR_INDEX_NAME": "connector-demo",
        "CONNECTOR_RERANKERS_LOCAL_URL": worker.url,
        "CONNECTOR_SEARCH_DEADLINE_S": "120",
    }
    printed = demo.run("library.py", **variables)

    assert printed.count("[local;") == 3  # the stage is called after its reranker
