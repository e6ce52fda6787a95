"""`connector eval` and `connector gate` against real engines: the same figures on each, all answers whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.evaluation.slices import rows, write_slice
from support.indices.scratch import drop, unique_name
from support.programs.command import Launcher

from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings

SMALL = ("--set", "search.rerank={window: 10}", "--set", "search.depth=20", "--set", "search.deadline_s=60")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five queries and the beginnings of what they have judgments for."""
    folder = tmp_path_factory.mktemp("judged")
    write_slice(folder, rows("queries.jsonl")[:5], chars=120)
    return folder


@pytest.fixture
def index(engine: ClusterSettings, launcher: Launcher, folder: Path) -> Iterator[str]:
    name = unique_name()
    done = launcher.run("ingest", ".", "--cluster", engine.url, "--index", name, cwd=folder)
    assert done.code == 0, done.stderr
    yield name
    asyncio.run(drop(engine, name))


def test_an_evaluation_and_a_gate(
    engine: ClusterSettings, index: str, launcher: Launcher, folder: Path, worker: WorkerProcess
) -> None:
    place = ("--cluster", engine.url, "--index", index, "--worker", worker.url, *SMALL)
    done = launcher.run("eval", ".", "--json", *place, cwd=folder)
    figures = json.loads(done.stdout)
    pipelines = figures["pipelines"]

    assert done.code == 0, done.stderr
    assert list(pipelines) == ["lexical", "dense", "fused", "reranked"]
    assert all(pipeline["failed"] == pipeline["degraded"] == {} for pipeline in pipelines.values())
    assert all(pipeline["measures"]["nDCG@10"] > 0.3 for pipeline in pipelines.values())
    assert pipelines["fused"]["facts"]["engine"].split()[0] in ("elasticsearch", "opensearch")
    assert pipelines["reranked"]["stages_ms"]["local"]["p50"] > 0

    pooled = launcher.run("judge", "pool", ".", "-p", "lexical,reranked", "-k", "3", "--json", *place, cwd=folder)
    facts = json.loads(pooled.stdout)

    assert pooled.code == 0, pooled.stderr
    assert facts["runs"] == ["lexical", "reranked"]
    assert 15 <= facts["left"] <= 30
    assert facts["not_found"] == 0

    flags = (".", "--baseline", f"{index}.json", *place)
    assert launcher.run("gate", *flags, "--write-baseline", cwd=folder).code == 0
    assert launcher.run("gate", *flags, cwd=folder).code == 0
    assert (
        launcher.run(
            "gate",
            *flags,
            "--set",
            "search.rerank={window: 10, weights: {rerank: 1}}",
            "--max-p95-ms",
            "local=0",
            cwd=folder,
        ).code
        == 1
    )
