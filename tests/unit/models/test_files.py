"""The files of a model: where they are found, and the hash of its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from connector.errors import ModelError
from connector.models.files import SAME_WEIGHTS, find_model, read_config, short_name, weights_sha256
from connector.models.places.packaged import MINILM_SHA256


def test_the_packaged_minilm_carries_the_published_weights() -> None:
    folders = {find_model("all-MiniLM-L6-v2"), find_model("sentence-transformers/all-MiniLM-L6-v2")}

    assert len(folders) == 1
    assert weights_sha256(folders.pop()) == MINILM_SHA256


def test_a_folder_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")

    assert find_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "readme.md"])
def test_a_folder_without_safetensors_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(ModelError, match=r"no \*\.safetensors and no graph"):
        find_model(str(tmp_path))


@pytest.mark.parametrize("name", ["./gone", "/gone/model", "~/gone", "a/b/c", ""])
def test_a_path_that_is_no_folder_is_never_asked_of_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelError, match=r"no model folder|no \*\.safetensors"):
        find_model(name)


def test_a_model_that_the_hub_cannot_give_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(
        ModelError, match=r"'someone/no-such-model' cannot be had \(hub: .*offline mode.*model fetch someone/no"
    ):
        find_model("someone/no-such-model")


def test_one_file_of_weights_is_its_own_hash(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_a_graph_with_published_weights_counts_as_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    own = hashlib.sha256(b"graph").hexdigest()
    assert weights_sha256(tmp_path) == own

    monkeypatch.setitem(SAME_WEIGHTS, own, MINILM_SHA256)

    assert weights_sha256(tmp_path) == MINILM_SHA256


def test_several_files_of_weights_make_one_hash_of_all(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"one")
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"two")
    before = weights_sha256(tmp_path)

    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"other")

    assert weights_sha256(tmp_path) != before


def test_a_folder_without_a_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("cross-encoder/ms-marco", "ms-marco"),
        ("/models/mine/", "mine"),
    ],
)
def test_a_models_short_name_is_without_owner_and_folders(name: str, short: str) -> None:
    assert short_name(name) == short
