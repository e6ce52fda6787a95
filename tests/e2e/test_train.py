"""`connector train` as a user runs it: killed, run again, measured before and after, and refused where it does harm."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.evaluation.slices import rows, write_slice
from support.programs.command import Launcher, Running, error_line
from support.repository.pages import ROOT

from connector.training.options import Workplace

TINY_MODELS = ROOT / "tests" / "support" / "models" / "tiny_models.py"
CHARS = 100  # of a document, so that it is one passage
QUERIES = 28
WAIT_S = 200


@pytest.fixture(scope="module")
def launcher(torch_launcher: Launcher) -> Launcher:
    """Each training needs torch."""
    return torch_launcher


@pytest.fixture(scope="module")
def folder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged queries, the documents that answer them, their index, and a cross-encoder that knows nothing."""
    folder = tmp_path_factory.mktemp("training")
    write_slice(folder / "slice", rows("queries.jsonl")[:QUERIES], chars=CHARS)
    made = launcher.start("base", cwd=folder, program=TINY_MODELS).wait()
    done = launcher.run("ingest", "slice", cwd=folder)
    assert made.code == done.code == 0, made.stderr + done.stderr
    return folder


FLAGS = ("--base", "base", "--negatives", "3", "--batch-size", "2", "--evaluations", "4", "--max-length", "32")


def train(launcher: Launcher, folder: Path, *flags: str) -> Running:
    return launcher.start("train", "slice", *FLAGS, "--out", "mine", *flags, cwd=folder)


def wait_for_checkpoint(running: Running, out: Path) -> None:
    end = time.monotonic() + WAIT_S
    checkpoints = out / "training" / "checkpoints"
    while not any(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert time.monotonic() < end
        assert not running.ended.done(), running.wait().stderr
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that was killed and run again, and the card that it wrote: a later measure writes another."""

    code: int
    stdout: str
    stderr: str
    card: str


@pytest.fixture(scope="module")
def killed_and_finished(launcher: Launcher, folder: Path) -> Trained:
    running = train(launcher, folder, "--epochs", "6", "--json")
    wait_for_checkpoint(running, folder / "mine")
    running.kill()
    running.wait()
    assert not (folder / "mine" / "training" / "trained.json").exists()
    done = train(launcher, folder, "--epochs", "6", "--json").wait()
    return Trained(done.code, done.stdout, done.stderr, (folder / "mine" / "README.md").read_text())


def test_it_goes_on_after_a_kill(killed_and_finished: Trained, folder: Path) -> None:
    assert "going on from checkpoint-" in killed_and_finished.stderr, killed_and_finished.stderr
    assert "looking for negatives" not in killed_and_finished.stderr  # they were kept
    assert not (folder / "mine" / "training" / "checkpoints").exists()


def test_a_reranker_that_knows_nothing_is_refused(killed_and_finished: Trained, folder: Path) -> None:
    report = json.loads(killed_and_finished.stdout)

    assert killed_and_finished.code == 1
    assert report["ok"] is False
    assert report["measures"]["fused"]["nDCG@10"] > report["measures"]["after"]["nDCG@10"]
    assert any(verdict["broken"] and verdict["pipeline"] == "after against fused" for verdict in report["verdicts"])
    assert "Traceback" not in killed_and_finished.stderr


def test_the_card_says_what_was_done_and_measured(killed_and_finished: Trained) -> None:
    for word in ("connector train slice", "| before |", "| after |", "refused", "| seed | 13 |", "nDCG@10"):
        assert word in killed_and_finished.card


def test_what_is_trained_is_measured_again_and_not_trained_again(
    launcher: Launcher, folder: Path, killed_and_finished: Trained
) -> None:
    done = train(launcher, folder, "--epochs", "6", "--no-export", "--max-drop", "1").wait()

    assert done.code == 0, done.stderr
    assert "is trained already" in done.stderr
    assert "connector worker --model mine" in done.stderr
    assert "after against before" in done.stdout


def test_another_training_does_not_write_over_it(
    launcher: Launcher, folder: Path, killed_and_finished: Trained
) -> None:
    done = train(launcher, folder, "--epochs", "2").wait()

    assert (done.code, done.stdout) == (2, "")
    assert "another training (other: epochs)" in done.stderr


def test_a_folder_has_one_training_at_a_time(launcher: Launcher, folder: Path, killed_and_finished: Trained) -> None:
    with Workplace(folder / "mine").held():
        done = train(launcher, folder, "--epochs", "6", "--restart").wait()

    assert re.search(rf"mine is in use by (process {os.getpid()}|another process), which trains", error_line(done))
    assert (folder / "mine" / "training" / "trained.json").exists()


def test_queries_of_the_measure_are_not_learned_from(launcher: Launcher, folder: Path) -> None:
    done = launcher.run("train", "slice", *FLAGS, "--out", "none", "--test", "slice", cwd=folder)

    assert done.code == 2, done.stderr
    assert f"{QUERIES} queries are also in slice; they are not learned from" in done.stderr
    assert "leaves 0 queries to learn from" in done.stderr
    assert not (folder / "none").exists()


def test_flags_that_cannot_be_meant(launcher: Launcher, folder: Path) -> None:
    both = launcher.run("train", "slice", "--teacher", "a", "--teacher-scores", "b", cwd=folder)
    unknown = launcher.run("train", "slice", "--base", "base", "--loss", "guess", cwd=folder)

    unasked = launcher.run("train", "slice", "--base", "base", "--teacher", "base", cwd=folder)
    absent = ("train", "slice", *FLAGS, "--out", "untaught", "--loss", "distill", "--teacher", "absent")
    untaught = launcher.run(*absent, cwd=folder)

    assert (both.code, unknown.code, unasked.code, untaught.code) == (2, 2, 2, 2)
    assert "loss listwise learns from judgments and would ask no teacher" in unasked.stderr
    assert "model 'absent' cannot be had" in untaught.stderr
    assert not (folder / "untaught" / "training" / "examples.jsonl").exists()  # said before they are looked for
    assert "give one of them" in both.stderr
    assert "learns by listwise, binary, margin-mse, distill, not by 'guess'" in unknown.stderr


def test_a_teachers_scores_are_learned_and_kept(launcher: Launcher, folder: Path) -> None:
    """What a stopped training has of them is not asked for again; a line that was cut off is."""
    flags = ("--loss", "distill", "--teacher", "base", "--no-export", "--test-share", "0")
    command = ("train", "slice", *FLAGS, "--out", "taught", "--epochs", "6", *flags)
    running = launcher.start(*command, cwd=folder)
    wait_for_checkpoint(running, folder / "taught")
    os.kill(running.pid, signal.SIGTERM)
    stopped = running.wait()
    last_line = "stopped by SIGTERM: taught keeps what was done; the same command goes on from there"
    assert (stopped.code, stopped.stderr.splitlines()[-1]) == (128 + signal.SIGTERM, last_line)
    assert "Traceback" not in stopped.stderr
    kept = folder / "taught" / "training" / "scores.jsonl"
    first, *lines, last = kept.read_text().splitlines(keepends=True)
    marked = json.dumps({**json.loads(first), "left_out": 99}, ensure_ascii=False) + "\n"
    kept.write_text("".join([marked, *lines, last[:50]]))

    done = launcher.run(*command, cwd=folder)
    scores = [json.loads(line) for line in kept.read_text().splitlines()]

    assert done.code == 0, done.stderr
    assert "going on from checkpoint-" in done.stderr
    assert scores == [json.loads(line) for line in (marked, *lines, last)]
    assert all(candidate["score"] is not None for row in scores for candidate in row["positives"] + row["negatives"])
    assert "| teacher | base |" in (folder / "taught" / "README.md").read_text()


def test_the_gate_refuses_it_too(launcher: Launcher, folder: Path, killed_and_finished: Trained) -> None:
    gate = ("gate", "slice", "--baseline", "quality.json", "--set", "search.deadline_s=60")
    assert launcher.run(*gate, "--write-baseline", "--set", "search.rerank=off", cwd=folder).code == 0

    done = launcher.run(*gate, "--reranker", "mine", cwd=folder)

    assert done.code == 1, done.stderr
    assert "broken" in done.stdout
