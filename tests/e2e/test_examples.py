"""The programs in examples/ run as they stand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment

from connector.worker.process import WorkerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo ran over five queries, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(EXAMPLES / "demo.py", "--queries", "5", cwd=folder)


def run(program: Path, *arguments: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=cwd,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_demo_prints_four_rankings_and_their_measures(demo: tuple[Path, str]) -> None:
    printed = demo[1]
    figures = json.loads(printed.splitlines()[-1])

    assert set(figures["measures"]) == {"lexical", "dense", "fused", "reranked"}
    assert all(set(one) == {"nDCG@10", "RR@10", "R@50"} for one in figures["measures"].values())
    assert figures["measures"]["fused"]["R@50"] > 0.5
    assert figures["degraded"] == 0
    assert all(f"{stage} (" in printed for stage in ("lexical", "dense", "fused", "reranked"))


def test_the_library_example_prints_reranked_hits(demo: tuple[Path, str], worker: WorkerProcess) -> None:
    variables = {
        "CONNECTOR_CLUSTER_URL": "embedded:demo-store",
        "CONNECTOR_INDEX_NAME": "connector-demo",
        "CONNECTOR_RERANK_URL": worker.url,
        "CONNECTOR_SEARCH_DEADLINE_S": "120",
    }
    printed = run(EXAMPLES / "library.py", cwd=demo[0], **variables)

    assert printed.count("[reranked;") == 3
