"""Cross-encoders of the hub's families score as they do in sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from support.models.hub_models import (
    FAMILIES,
    IDENTITY,
    SIGMOID,
    TEXTS,
    predict,
    save_bert,
    save_language_model,
    save_modernbert,
    save_xlm_roberta,
)
from support.parts import serving, wait_until

from connector.errors import ModelError
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.load import load_scorer
from connector.models.scorer import detect_kind
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

QUERY, *PASSAGES = TEXTS
ON_A_CPU = ("bert", "xlm-roberta", "modernbert", "ettin")  # families that are exported to ONNX


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each family."""
    root = tmp_path_factory.mktemp("hub")
    return {name: save(root / name) for name, save in FAMILIES.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_worker_gives_the_scores_of_sentence_transformers(folders: dict[str, Path], family: str) -> None:
    settings = WorkerSettings(model=str(folders[family]), device="cpu")
    expected = predict(folders[family], QUERY, PASSAGES)
    with serving(create_app(lambda: load_scorer(settings, settings), settings)) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        reply = httpx.post(f"{url}/rerank", json={"query": QUERY, "texts": PASSAGES, "raw_scores": True})

    assert {result["index"]: result["score"] for result in reply.json()} == pytest.approx(
        dict(enumerate(expected)), abs=1e-4
    )
    assert max(expected) - min(expected) > 1e-3  # the model tells passages apart
    assert reply.headers["x-reranker-kind"] == "cross-encoder"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_pair_is_longer_than_the_model_takes(folders: dict[str, Path], family: str) -> None:
    scorer = CrossEncoderScorer(str(folders[family]), device="cpu")

    scores = scorer.score(QUERY, ["deal " * 200, PASSAGES[0]])

    assert (scores.truncated, scores.lengths[0]) == ((0,), 64)
    assert scores.values[1] == pytest.approx(predict(folders[family], QUERY, PASSAGES[:1])[0], abs=1e-4)


@pytest.mark.parametrize("family", ON_A_CPU)
def test_a_graph_gives_the_same_scores(
    folders: dict[str, Path], family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    scores = CrossEncoderScorer(str(folders[family]), backend="onnx").score(QUERY, PASSAGES)

    assert scores.values == pytest.approx(predict(folders[family], QUERY, PASSAGES), abs=1e-4)


def test_weights_in_sixteen_bits_become_a_graph_in_eight(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    scores = CrossEncoderScorer(str(folders["modernbert"]), backend="onnx-int8").score(QUERY, PASSAGES)

    assert scores.values == pytest.approx(predict(folders["modernbert"], QUERY, PASSAGES), abs=0.1)


@pytest.mark.parametrize("save", [save_bert, save_xlm_roberta, save_modernbert])
def test_scores_are_logits_whatever_activation_the_configuration_names(tmp_path: Path, save: type) -> None:
    identity, sigmoid, unnamed = (
        CrossEncoderScorer(str(save(tmp_path / str(at), activation=activation)), device="cpu").score(QUERY, PASSAGES)
        for at, activation in enumerate((IDENTITY, SIGMOID, None))
    )

    assert sigmoid.values == pytest.approx(identity.values, abs=1e-6)
    assert unnamed.values == pytest.approx(identity.values, abs=1e-6)


def test_every_family_is_known_for_a_cross_encoder(folders: dict[str, Path]) -> None:
    assert {name: detect_kind(str(folder)) for name, folder in folders.items()} == dict.fromkeys(
        FAMILIES, "cross-encoder"
    )


def test_a_bare_language_model_is_refused(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "bare", saved_as_reranker=False)

    with pytest.raises(ModelError, match="is a language model without the modules"):
        detect_kind(str(folder))


def test_a_classifier_of_two_labels_is_refused(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "classifier", labels=2)

    with pytest.raises(ModelError, match="2 labels; a reranker has one"):
        CrossEncoderScorer(str(folder), device="cpu")
