"""The programs in examples/ run as they stand."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from connector.remote.process import WorkerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.timeout(900)  # whichever is first waits for the demo


def test_the_demo_prints_four_rankings_and_their_measures(demo: Any) -> None:
    figures = json.loads(demo.printed.splitlines()[-1])

    assert figures["queries"] == 3
    assert set(figures["measures"]) == {"lexical", "dense", "fused", "reranked"}
    assert all(set(measure) == {"nDCG@10", "RR@10", "R@50"} for measure in figures["measures"].values())
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


def test_the_fastapi_example_answers_with_hits_and_with_what_was_wrong(
    demo: Any, worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_CLUSTER_URL", f"embedded:{demo.folder / 'demo-store'}")
    monkeypatch.setenv("CONNECTOR_INDEX_NAME", "connector-demo")
    monkeypatch.setenv("CONNECTOR_RERANKERS_LOCAL_URL", worker.url)
    monkeypatch.setenv("CONNECTOR_SEARCH_DEADLINE_S", "120")
    app = runpy.run_path(str(EXAMPLES / "fastapi_app.py"))["app"]
    with TestClient(app) as client:
        found = client.get("/search", params={"q": "margin for tier-2 partners", "k": 3})
        empty = client.get("/search", params={"q": " "})

    assert found.status_code == 200
    assert len(found.json()["hits"]) == 3
    assert found.json()["degraded"] == []
    assert all(hit["title"] and hit["passage"] for hit in found.json()["hits"])
    assert empty.status_code == 400
    assert "type at least one word" in empty.json()["detail"]
