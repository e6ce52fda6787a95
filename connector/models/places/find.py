"""A model's name -> its folder, from the first place that has it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from connector.errors import MissingExtra, ModelError
from connector.models.places.fetched import find_unpacked
from connector.models.places.hub_cache import find_in_hub_cache
from connector.models.places.jars import find_jar
from connector.models.places.packaged import MINILM_NAMES, packaged_minilm
from connector.settings.sections import ModelPlaceSettings

ModelPlace = Literal["hub", "maven"]
NAMES = {"hub": "hub", "maven": "Maven repository"}
log = logging.getLogger(__name__)


def find_here(name: str) -> Path | None:
    """The folder of a model that is on this machine: as it is, packaged, fetched before, or in the hub's cache.

    Raises ModelError for a path where there is none."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    published = published_name(name)
    jar = find_jar(name)
    return (
        (packaged_minilm() if name in MINILM_NAMES else None)
        or (find_unpacked(jar) if jar else None)
        or find_in_hub_cache(published)
    )


def fetch(name: str, settings: ModelPlaceSettings, place: ModelPlace | None = None) -> Path:
    """The folder of a model that is fetched from a place, or from the first that gives it. Raises ModelError."""
    published_name(name)  # before a reason is given for each place
    reasons = {}
    for candidate in (place,) if place else ("hub", "maven"):
        try:
            return _fetch_from(candidate, name, settings)
        except (ModelError, MissingExtra) as error:
            reasons[candidate] = str(error)
            if not place:
                log.info("%s cannot be had from the %s: %s", name, NAMES[candidate], error)
    listed = "; ".join(f"{NAMES[candidate]}: {reason}" for candidate, reason in reasons.items())
    raise ModelError(f"model {name!r} cannot be had ({listed})")


def published_name(name: str) -> str:
    """A model's name on the hub, with its owner. Raises ModelError for what is a path."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise ModelError(f"there is no model folder {name!r}")
    jar = find_jar(name)
    return jar.name if jar else name if "/" in name else f"sentence-transformers/{name}"


def _fetch_from(place: ModelPlace, name: str, settings: ModelPlaceSettings) -> Path:
    if place == "hub":
        if not settings.download:
            raise ModelError("models.download is false")
        from connector.models.places.hub import fetch_from_hub

        return fetch_from_hub(published_name(name), settings)
    jar = find_jar(name)
    if jar is None:
        raise ModelError("no jar of it is known; connector model list shows those that are")
    from connector.models.places.maven import fetch_from_maven

    return fetch_from_maven(jar, settings)
