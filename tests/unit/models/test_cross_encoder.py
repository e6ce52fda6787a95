"""A cross-encoder gives the scores of sentence-transformers, whatever the batch, and names what it cut."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models.tiny_models import save_classifier

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.late_interaction import LateInteractionScorer
from connector.models.load import load_scorer
from connector.models.scorer import Cancelled, detect_kind
from connector.settings.sections import WorkerSettings

QUERY = "how long is a deal registered"
FITTING = [
    "Tier-2 partners keep a registered deal for ninety days.",
    "The cat sat on the mat.",
    "",
    "A registered deal lasts three months, unless it is extended.",
    "red fish",
]


@pytest.fixture(scope="module")
def scorer(tiny_cross_encoder_folder: Path) -> CrossEncoderScorer:
    return CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu")


def predict(folder: Path, pairs: list[tuple[str, str]]) -> Any:
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", max_length=64, activation_fn=torch.nn.Identity())
    return model.predict(pairs, batch_size=1, show_progress_bar=False)


def test_scores_are_those_of_sentence_transformers(scorer: CrossEncoderScorer, tiny_cross_encoder_folder: Path) -> None:
    scores = scorer.score(QUERY, FITTING)

    expected = predict(tiny_cross_encoder_folder, [(QUERY, text) for text in FITTING])
    assert scores.values == pytest.approx(expected, abs=1e-4)
    assert np.ptp(scores.values) > 1e-3  # the model tells passages apart
    assert (scores.truncated, scores.query_truncated) == ((), False)


def test_the_length_is_the_models_own(scorer: CrossEncoderScorer) -> None:
    assert scorer.max_length == 64


def test_scores_keep_the_order_of_the_passages(scorer: CrossEncoderScorer) -> None:
    order = [3, 0, 4, 1, 2]

    scores = scorer.score(QUERY, [FITTING[position] for position in order]).values

    assert scores == pytest.approx(scorer.score(QUERY, FITTING).values[order], abs=1e-4)


def test_the_token_budget_of_a_batch_changes_no_score(
    scorer: CrossEncoderScorer, tiny_cross_encoder_folder: Path
) -> None:
    narrow = CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu", max_batch_tokens=64)

    assert narrow.score(QUERY, FITTING).values == pytest.approx(scorer.score(QUERY, FITTING).values, abs=1e-4)


def test_a_long_passage_is_cut_and_named_and_its_tail_is_read(scorer: CrossEncoderScorer) -> None:
    middle = "filler " * 200

    scores = scorer.score("deal", [f"start {middle} end", "short", f"start {middle} other"])

    assert scores.truncated == (0, 2)
    assert abs(scores.values[0] - scores.values[2]) > 1e-6


def test_a_passage_that_just_fits_is_not_cut(scorer: CrossEncoderScorer, tokenizer: Any) -> None:
    room = 64 - 3 - len(tokenizer.tokenize("deal"))

    scores = scorer.score("deal", ["word " * room, "word " * (room + 1)])

    assert scores.truncated == (1,)


def test_a_long_query_leaves_half_the_room_to_the_passage(
    scorer: CrossEncoderScorer, tiny_cross_encoder_folder: Path
) -> None:
    scores = scorer.score("query " * 100, ["red fish", "blue bird"])

    assert scores.query_truncated
    assert scores.truncated == ()
    assert abs(scores.values[0] - scores.values[1]) > 1e-6


def test_no_input_is_longer_than_the_model_takes(scorer: CrossEncoderScorer) -> None:
    scores = scorer.score("query " * 100, ["filler " * 300, ""])

    assert scores.tokens <= 2 * 64
    assert np.isfinite(scores.values).all()


def test_nothing_to_score_is_no_scores(scorer: CrossEncoderScorer) -> None:
    assert scorer.score(QUERY, []).values.tolist() == []


def test_a_caller_who_hung_up_costs_no_further_batch(tiny_cross_encoder_folder: Path) -> None:
    narrow = CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu", max_batch_tokens=64)
    seen = []

    def check() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        narrow.score(QUERY, FITTING * 5, check=check)
    assert len(seen) == 2


def test_a_shorter_length_can_be_set(tiny_cross_encoder_folder: Path) -> None:
    short = CrossEncoderScorer(str(tiny_cross_encoder_folder), device="cpu", max_length=16)

    scores = short.score("a", ["word " * 12, "word " * 13])

    assert (short.max_length, scores.truncated) == (16, (1,))


def test_a_classifier_of_three_labels_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    folder = save_classifier(tmp_path / "nli", tokenizer, num_labels=3)

    with pytest.raises(ModelError, match="3 labels; a reranker has one"):
        CrossEncoderScorer(str(folder), device="cpu")


def test_a_folder_of_pickled_weights_is_refused(tmp_path: Path, tiny_cross_encoder_folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "pickled"
    shutil.copytree(tiny_cross_encoder_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    with pytest.raises(ModelError, match="pickled weights are not loaded"):
        CrossEncoderScorer(str(folder), device="cpu")


def test_the_kind_of_a_model_is_read_from_its_configuration(
    tiny_cross_encoder_folder: Path, tiny_encoder_folder: Path
) -> None:
    kinds = detect_kind(str(tiny_cross_encoder_folder)), detect_kind(str(tiny_encoder_folder))

    assert kinds == ("cross-encoder", "late-interaction")


def test_settings_make_the_scorer_that_they_name(tiny_cross_encoder_folder: Path, tiny_encoder_folder: Path) -> None:
    cross = load_scorer(
        WorkerSettings(model=str(tiny_cross_encoder_folder), device="cpu", max_length=32), WorkerSettings()
    )
    late = load_scorer(WorkerSettings(model=str(tiny_encoder_folder), device="cpu"), WorkerSettings())

    assert (type(cross), type(late)) == (CrossEncoderScorer, LateInteractionScorer)
    assert (cross.max_length, late.max_length) == (32, 64)
    assert cross.fingerprint.startswith("tiny-cross-encoder@")
    assert cross.fingerprint.endswith(":cross-encoder:32")


def test_a_prompt_that_the_model_is_saved_with_is_kept(tiny_cross_encoder_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    pairs = [(QUERY, text) for text in FITTING]
    plain = predict(tiny_cross_encoder_folder, pairs)
    model = CrossEncoder(
        str(tiny_cross_encoder_folder), device="cpu", prompts={"ask": "the cat sat "}, default_prompt_name="ask"
    )
    model.save_pretrained(str(tmp_path / "prompted"))
    expected = predict(tmp_path / "prompted", pairs)

    assert np.abs(expected - plain).max() > 1e-4
    assert CrossEncoderScorer(str(tmp_path / "prompted"), device="cpu").score(QUERY, FITTING).values == pytest.approx(
        expected, abs=1e-4
    )
