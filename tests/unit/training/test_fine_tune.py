"""A model of random weights learns a rule that anybody can see, goes on where it was stopped, and gives the same every
time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connector.evaluation.evaluate import Reporter
from connector.models.files import weights_sha256
from connector.models.late_interaction import LateInteractionScorer
from connector.models.scorer import ScorerKind, detect_kind
from connector.training.examples import Candidate, Example
from connector.training.fine_tune import _load, fine_tune
from connector.training.options import Options, Workplace

WORDS = ["river", "stone", "cloud", "paper", "metal", "grain", "light", "music"]
ANSWER = "yes"


def examples(count: int, *, first: int = 0) -> list[Example]:
    """What answers anything is a text that says so."""
    found = []
    for number in range(first, first + count):
        asked, *others = WORDS[number % 8 :] + WORDS[: number % 8]
        positive = Candidate("answer", f"{others[3]} {ANSWER} {ANSWER} {others[4]}", 1)
        negatives = tuple(Candidate(word, f"{word} no {others[5]}", 0) for word in others[:3])
        found.append(Example(f"q{number}", asked, (positive,), negatives))
    return found


@pytest.fixture
def options(tiny_cross_encoder_folder: Path) -> Options:
    return Options(
        base=str(tiny_cross_encoder_folder),
        kind="cross-encoder",
        loss="binary",
        negatives=3,
        epochs=2,
        batch_size=8,
        learning_rate=6e-3,
        max_length=24,
        evaluations=2,
        patience=9,
    )


def opened(folder: Path, options: Options) -> Workplace:
    place = Workplace(folder)
    place.open(options, {})
    return place


def run(place: Workplace, options: Options, reporter: Reporter = Reporter()) -> dict[str, Any]:
    return fine_tune(options, examples(32), examples(8, first=32), place, reporter)


@pytest.mark.parametrize("loss", ["binary", "listwise"])
def test_a_cross_encoder_learns(tmp_path: Path, options: Options, loss: str) -> None:
    trained = run(opened(tmp_path / "model", replace(options, loss=loss)), replace(options, loss=loss))

    before, *_, after = (measured["ndcg@10"] for measured in trained["held_back"])
    assert after > max(before, 0.9), trained
    assert detect_kind(str(tmp_path / "model")) == "cross-encoder"


@pytest.mark.parametrize("loss", ["margin-mse", "distill"])
@pytest.mark.parametrize("kind", ["cross-encoder", "late-interaction"])
def test_a_teachers_scores_are_learned(
    tmp_path: Path, options: Options, tiny_encoder_folder: Path, kind: ScorerKind, loss: str
) -> None:
    base = options.base if kind == "cross-encoder" else str(tiny_encoder_folder)
    taught = replace(options, base=base, kind=kind, loss=loss, teacher="a teacher")
    rows = [example.scored([float(candidate.grade) for candidate in example.candidates]) for example in examples(32)]
    trained = fine_tune(taught, rows, examples(8, first=32), opened(tmp_path / "model", taught))

    assert max(row["ndcg@10"] for row in trained["held_back"][1:]) > trained["held_back"][0]["ndcg@10"]


@pytest.mark.parametrize("loss", ["listwise", "contrastive"])
def test_late_interaction_learns(tmp_path: Path, options: Options, tiny_encoder_folder: Path, loss: str) -> None:
    late = replace(options, base=str(tiny_encoder_folder), kind="late-interaction", loss=loss, layer_decay=0.9)

    trained = run(opened(tmp_path / "model", late), late)

    before, *_, after = (measured["ndcg@10"] for measured in trained["held_back"])
    assert after >= before
    assert weights_sha256(tmp_path / "model") != weights_sha256(tiny_encoder_folder)
    assert detect_kind(str(tmp_path / "model")) == "late-interaction"
    (asked,) = examples(1, first=40)
    answer, *others = (
        LateInteractionScorer(str(tmp_path / "model"))
        .score(asked.query, [candidate.text for candidate in asked.candidates])
        .values
    )
    assert answer > max(others)


def test_it_goes_on_from_its_last_checkpoint_to_the_same_end(tmp_path: Path, options: Options) -> None:
    options = replace(options, epochs=3)  # so that it is stopped in the middle of one
    whole = opened(tmp_path / "whole", options)
    steps = run(whole, options)["steps"]
    notes: list[str] = []

    class Killed(Exception):
        pass

    done: list[int] = []

    def stop() -> None:
        done.append(1)
        if len(done) > steps / 2:
            raise Killed

    stopped = opened(tmp_path / "stopped", options)
    with pytest.raises(Killed):
        run(stopped, options, Reporter(done=stop))
    trained = run(stopped, options, Reporter(note=notes.append))

    assert notes[0] == f"going on from checkpoint-{steps // 2}"
    assert notes[-1].startswith(f"step {steps} of {steps}: nDCG@10 ")
    assert trained["steps"] == steps
    assert weights_sha256(stopped.folder) == weights_sha256(whole.folder)


def test_what_is_trained_computes_the_same_twice(options: Options) -> None:
    """Nothing is dropped by chance: neither of the model's weights of attention nor of its head."""
    student = _load(options).train()
    features = student.preprocess([("river", "stone no cloud")])

    first, second = (student(features)["scores"] for _ in range(2))

    assert first.tolist() == second.tolist()
