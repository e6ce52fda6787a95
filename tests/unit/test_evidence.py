"""What is kept of a run's engines when tests fail: without it a fault that is seen once is never found."""

from __future__ import annotations

import json
from pathlib import Path

from support.parts import OverlapScorer, serving
from support.servers.running_engines import EVIDENCE, keep_evidence

from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app


def test_an_engines_log_and_answers_outlive_it(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_text("[ERROR] a shard failed")
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:  # any server that answers
        (tmp_path / "os3.json").write_text(json.dumps({"url": url, "log": str(log)}))
        (kept,) = keep_evidence(tmp_path)
    log.unlink()

    assert (kept / "stdout.log").read_text() == "[ERROR] a shard failed"
    assert [f"GET {path}" in (kept / "indices.txt").read_text() for path in EVIDENCE] == [True] * len(EVIDENCE)
    assert "Not Found" in (kept / "indices.txt").read_text()


def test_an_engine_that_is_away_leaves_its_log_and_why(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_text("killed")
    (tmp_path / "es9.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "log": str(log)}))

    (kept,) = keep_evidence(tmp_path)

    assert (kept / "stdout.log").read_text() == "killed"
    assert "ConnectError" in (kept / "indices.txt").read_text()
