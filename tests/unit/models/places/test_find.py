"""Whoever loads a model by its name has it from the places that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.models.tiny_jar import make_jar
from support.servers.file_server import FileServer, serving_files

from connector.errors import ModelError
from connector.models.files import find_model
from connector.models.places import jars
from connector.settings.sections import EncoderSettings, ModelPlaceSettings, ModelSettings, Settings, WorkerSettings
from connector.wiring import load_encoder
from connector.worker.offered import offer_models

JAR, CONTENT = make_jar()
UNREADABLE = "cannot load|cannot read|has no|exported"  # the tiny jar holds no real graph


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(jars, "JARS", (JAR,))
    find_model.cache_clear()
    with serving_files({JAR.path: CONTENT}) as server:
        yield server
    find_model.cache_clear()


def test_a_search_has_its_encoder_from_there(repository: FileServer) -> None:
    places = ModelPlaceSettings(maven_repository=repository.url)

    with pytest.raises(ModelError, match=UNREADABLE):
        load_encoder(Settings(encoder=EncoderSettings(model="tiny"), models=places))

    assert len(repository.seen) == 1


def test_a_worker_has_its_further_models_from_there(repository: FileServer) -> None:
    places = ModelPlaceSettings(maven_repository=repository.url)
    worker = WorkerSettings(models={"other": ModelSettings(model="tiny", kind="late-interaction")})
    other, _ = offer_models(worker, places)

    assert other.count_bytes() == 50_000 + worker.cache_bytes
    assert len(repository.seen) == 1


def test_what_cannot_be_had_says_why_for_each_place_and_what_to_do(repository: FileServer) -> None:
    with pytest.raises(ModelError) as refused:
        find_model("tiny", ModelPlaceSettings(maven_repository=f"{repository.url}/elsewhere"))

    text = str(refused.value)
    assert text.startswith("model 'tiny' cannot be had (hub: ")
    assert "Maven repository: owner/tiny cannot be had from http://127.0.0.1:" in text
    assert "(404 Not Found); does the repository hold it" in text
    assert "where there is a network, fetch it with: connector model fetch tiny; or give the path" in text
