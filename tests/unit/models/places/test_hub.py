"""A model of the hub: what of it is fetched, how it is checked, and that it is found again without asking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.hub_server import REVISION, HubServer, serving_hub

from connector.errors import ModelError
from connector.models.files import find_model
from connector.models.places.find import fetch, find_here
from connector.models.places.hub import choose_files, fetch_from_hub
from connector.models.places.hub_cache import find_in_hub_cache, hub_snapshots
from connector.settings.sections import ModelPlaceSettings

MODEL = "someone/tiny"
FILES = {
    "config.json": b"{ }",
    "tokenizer.json": b"{  }",
    "model.safetensors": b"weights",
    "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"pickle",
    "onnx/model.onnx": b"graph",
    "modeling_tiny.py": b"code",
    "README.md": b"words",
}
SETTINGS = ModelPlaceSettings()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving_hub(MODEL, FILES) as hub:
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        yield hub


def test_a_model_is_fetched_without_code_and_pickles_and_says_where_it_is_from(hub: HubServer) -> None:
    folder = fetch_from_hub(MODEL, SETTINGS)

    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json", "source.json"}
    facts = json.loads((folder / "source.json").read_text())
    assert (facts["name"], facts["from"], facts["licence"]) == (MODEL, f"hub, revision {REVISION}", "mit")
    assert facts["sha256"]["model.safetensors"] == hub.hash_of("model.safetensors")


def test_a_model_that_was_fetched_is_found_without_asking(hub: HubServer) -> None:
    assert find_here(MODEL) is None
    folder = find_model(MODEL, ModelPlaceSettings(maven_username="of this test"))  # find_model remembers what it found
    hub.files = {}

    assert find_here(MODEL) == folder
    assert list(hub_snapshots()) == [(MODEL, folder)]
    assert sorted(hub.fetched) == ["1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"]


def test_a_snapshot_that_is_not_whole_is_fetched_to_its_end(hub: HubServer) -> None:
    folder = fetch_from_hub(MODEL, SETTINGS)
    (folder / "model.safetensors").unlink()
    assert find_in_hub_cache(MODEL) is None

    assert fetch_from_hub(MODEL, SETTINGS) == folder

    assert find_in_hub_cache(MODEL) == folder


def test_a_snapshot_with_some_of_its_shards_is_not_whole(hub: HubServer) -> None:
    folder = fetch_from_hub(MODEL, SETTINGS)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}

    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    assert find_in_hub_cache(MODEL) is None


def test_a_file_of_another_hash_is_not_kept(hub: HubServer) -> None:
    hub.wrong_hash = "model.safetensors"

    with pytest.raises(ModelError, match=r"model\.safetensors was not read as the hub has it .*; fetch it again"):
        fetch_from_hub(MODEL, SETTINGS)

    assert find_in_hub_cache(MODEL) is None


def test_a_model_that_the_hub_has_not_is_told(hub: HubServer) -> None:
    with pytest.raises(
        ModelError, match=r"model 'someone/else' cannot be had \(hub: .*404.*; Maven repository: no jar"
    ):
        fetch("someone/else", SETTINGS)


def test_the_hub_is_not_asked_where_the_settings_say_so(hub: HubServer) -> None:
    with pytest.raises(ModelError, match=r"hub: models\.download is false"):
        fetch(MODEL, ModelPlaceSettings(download=False))

    assert hub.fetched == []


def test_a_repository_without_safetensors_gives_its_graph() -> None:
    names = ["config.json", "pytorch_model.bin", "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_int8.onnx"]

    assert choose_files(names) == ["config.json", "onnx/model.onnx", "onnx/model.onnx_data"]


@pytest.mark.parametrize(
    ("kind", "torch", "weights"),
    [("bert", "", "model.safetensors"), ("gemma3", "", "onnx/model.onnx"), ("gemma3", "2.9", "model.safetensors")],
)
def test_a_graph_is_fetched_where_nothing_here_runs_the_weights(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, kind: str, torch: str, weights: str
) -> None:
    monkeypatch.setattr("connector.models.places.hub.installed", lambda package: torch)
    hub.files = FILES | {"config.json": json.dumps({"model_type": kind}).encode()}

    fetch_from_hub(MODEL, SETTINGS)

    assert {"model.safetensors", "onnx/model.onnx"} & set(hub.fetched) == {weights}


def test_copies_of_the_weights_for_other_programs_are_left_out() -> None:
    names = ["a/model.safetensors", "consolidated.safetensors", "openvino/openvino_model.bin", "openvino/config.json"]

    assert choose_files(names) == ["a/model.safetensors"]


def test_a_repository_of_pickles_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no graph .*; pickled weights are not loaded"):
        choose_files(["config.json", "pytorch_model.bin"])
