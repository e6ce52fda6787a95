"""The folders of models that were fetched and unpacked here: `models/OWNER/NAME` of the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connector.models.cache import cache_folder
from connector.models.places.jars import JarModel
from connector.models.places.source import ModelSource, read_source


def fetched_folder(name: str) -> Path:
    """Where the model of that name is, or would be."""
    return cache_folder() / "models" / name


def find_unpacked(jar: JarModel) -> Path | None:
    """The folder of a model, where it was fetched before out of the jar of that hash."""
    folder = fetched_folder(jar.name)
    source = read_source(folder)
    return folder if source and source.sha256 == jar.hashes else None


def fetched_models() -> Iterator[tuple[Path, ModelSource]]:
    """All that there are."""
    for folder in sorted(fetched_folder("").glob("*/*")):
        if source := read_source(folder):
            yield folder, source
