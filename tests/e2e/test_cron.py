"""examples/cron/ingest.sh as cron runs it: its exit codes, what it prints for cron to mail, what it leaves."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.programs.command import environment
from support.runs.missing import skip_or_fail

SCRIPT = Path(__file__).parents[2] / "examples" / "cron" / "ingest.sh"
STORE = {"CONNECTOR_CLUSTER_URL": "embedded:./store"}


@pytest.fixture(autouse=True)
def _host_with_flock() -> None:
    if shutil.which("flock") is None:
        skip_or_fail("there is no flock (Debian: apt-get install util-linux)")


def run_script(folder: Path, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["sh", str(SCRIPT), source, str(folder)]
    return subprocess.run(
        command,
        env=environment() | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_rejected_documents_are_told_of_and_the_rest_is_written(tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text(
        '{"_id": "a", "title": "Cold rooms", "text": "Checked twice."}\n{broken\n'
    )

    done = run_script(tmp_path, "documents.jsonl", **STORE)

    report = json.loads((tmp_path / "report.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "ingest.log").read_text().splitlines()]
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"ingest of documents.jsonl: some documents were rejected; they are in {tmp_path}/rejects.jsonl with the "
        "reasons"
    ]
    assert (report["exit_code"], report["counts"]["written"], report["counts"]["failed"]) == (1, 1, 1)
    assert "{broken" in (tmp_path / "rejects.jsonl").read_text()
    assert log[-1]["exit_code"] == 1


def test_a_job_that_cannot_start_says_why(tmp_path: Path) -> None:
    done = run_script(tmp_path, "nowhere.jsonl", **STORE)

    assert done.returncode == 2
    assert "ingest of nowhere.jsonl could not start" in done.stdout
    assert "there is no 'nowhere.jsonl'" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_job_is_ended_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text('{"_id": "a", "title": "Cold rooms", "text": "Checked twice."}\n')

    done = run_script(tmp_path, "documents.jsonl", INGEST_LIMIT="0.5s", **STORE)

    assert done.returncode == 143
    assert done.stdout.startswith("ingest of documents.jsonl ended early (143); the next run goes on")


def test_two_jobs_never_run_at_once(tmp_path: Path) -> None:
    with open(tmp_path / "ingest.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        done = run_script(tmp_path, "documents.jsonl", **STORE)

    assert done.returncode == 75
    assert "the last run is still under way" in done.stdout
    assert not (tmp_path / "ingest.log").exists()
