"""An encoder gives the vectors of sentence-transformers, in order, with or without a graph."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from connector.errors import ModelError
from connector.models.encoder import LocalEncoder

TEXTS = ["Tier-2 partners keep a deal.", "", "The cat sat. " * 40, "red fish", "red fish"]


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> LocalEncoder:
    return LocalEncoder(str(tiny_encoder_folder), device="cpu")


def test_vectors_are_those_of_sentence_transformers_in_order(encoder: LocalEncoder, tiny_encoder_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(tiny_encoder_folder), device="cpu").encode(TEXTS, normalize_embeddings=True)

    assert encoder.encode(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_vectors_have_unit_length(encoder: LocalEncoder) -> None:
    vectors = encoder.encode(TEXTS)

    assert (vectors.shape, vectors.dtype) == ((5, 32), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_query_is_encoded_as_a_text_is(encoder: LocalEncoder) -> None:
    vector = encoder.encode_query("red fish")

    assert vector == pytest.approx(encoder.encode(["red fish"])[0], abs=1e-5)
    assert vector.shape == (32,)


def test_batches_change_no_vector(encoder: LocalEncoder, tiny_encoder_folder: Path) -> None:
    narrow = LocalEncoder(str(tiny_encoder_folder), device="cpu", max_batch_tokens=64)

    assert narrow.encode(TEXTS) == pytest.approx(encoder.encode(TEXTS), abs=1e-5)


def test_a_graph_gives_the_same_vectors_for_queries_and_passages(
    encoder: LocalEncoder, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    graph = LocalEncoder(str(tiny_encoder_folder), backend="onnx")

    for _ in range(2):
        assert graph.encode(TEXTS) == pytest.approx(encoder.encode(TEXTS), abs=1e-5)
        assert graph.encode_query(TEXTS[0]) == pytest.approx(encoder.encode_query(TEXTS[0]), abs=1e-5)
    assert graph.fingerprint == encoder.fingerprint
    assert len(list(tmp_path.rglob("*.onnx"))) == 1


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_the_same_weights_with_other_prompts_are_another_encoder(
    encoder: LocalEncoder, tiny_encoder_folder: Path, tmp_path: Path, backend: Literal["torch", "onnx"]
) -> None:
    shutil.copytree(tiny_encoder_folder, tmp_path / "e5-small-v2")
    prompted = LocalEncoder(str(tmp_path / "e5-small-v2"), device="cpu", backend=backend).fingerprint

    assert prompted.sha256 == encoder.fingerprint.sha256
    assert (prompted.query_prompt, prompted.passage_prompt) == ("query: ", "passage: ")
    assert not prompted.same_vectors(encoder.fingerprint)


def test_a_graph_that_gives_other_vectors_is_refused(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("connector.models.encoder.MIN_COSINE", 1.1)

    with pytest.raises(
        ModelError, match=r"gives other vectors than the model \(cosine 1\.0*\); use encoder.backend: torch"
    ):
        LocalEncoder(str(tiny_encoder_folder), backend="onnx")


def test_an_encoder_that_fails_says_so_in_the_log_with_the_traceback(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its recipe lets through more tokens than its graph has positions for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    LocalEncoder(str(tiny_encoder_folder), backend="onnx")
    (file,) = tmp_path.rglob("*.recipe.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_tokens": 1_000}))
    broken, text = LocalEncoder(str(tiny_encoder_folder), backend="onnx"), "Registered deals " * 200
    caplog.set_level(logging.INFO, "connector")

    with pytest.raises(ModelError, match="the encoder failed"):
        broken.encode_query(text)
    with pytest.raises(ModelError, match="the encoder failed"):
        broken.encode([text])

    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in failures] == ["the encoder failed"] * 2
    assert caplog.text.count("InvalidArgument: ") == 2
    with pytest.raises(ModelError, match="the encoder failed"):
        broken.run(broken.plan([text]).pieces)  # as a worker's batcher does, which logs it itself
    assert caplog.text.count("InvalidArgument: ") == 2


def test_no_text_is_no_vector(encoder: LocalEncoder) -> None:
    assert encoder.encode([]).shape == (0, 32)


def test_tokens_are_spans_of_the_whole_text(encoder: LocalEncoder) -> None:
    text = "Registered deals " * 200

    (offsets,) = encoder.token_offsets([text])

    assert len(offsets) > 64  # longer than the model reads
    assert [text[start:end] for start, end in offsets[:2]] == ["Registered", "deals"]


def test_the_fingerprint_says_what_the_vectors_depend_on(encoder: LocalEncoder) -> None:
    fingerprint = encoder.fingerprint

    assert (fingerprint.name, fingerprint.dims, fingerprint.max_tokens) == ("tiny-encoder", 32, 64)
    assert len(fingerprint.sha256) == 64


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")

    with pytest.raises(ModelError, match="cannot load the encoder"):
        LocalEncoder(str(tmp_path), device="cpu")


def test_the_same_weights_with_another_pooling_are_another_encoder(
    encoder: LocalEncoder, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BGE reads the first token, also where its folder does not say so, and whatever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(tiny_encoder_folder, tmp_path / "bge-m3")
    (tmp_path / "bge-m3" / "modules.json").unlink()
    in_torch, graph = (
        LocalEncoder(str(tmp_path / "bge-m3"), device="cpu", backend=backend) for backend in ("torch", "onnx")
    )

    assert graph.encode(TEXTS) == pytest.approx(in_torch.encode(TEXTS), abs=1e-5)
    assert np.abs(graph.encode(TEXTS) - encoder.encode(TEXTS)).max() > 1e-2
    assert graph.fingerprint == in_torch.fingerprint
    assert (graph.fingerprint.sha256, graph.fingerprint.pooling) == (encoder.fingerprint.sha256, "cls")
    assert not graph.fingerprint.same_vectors(encoder.fingerprint)
