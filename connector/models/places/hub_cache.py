"""The cache of the hub of Hugging Face, which other programs share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from connector.models.places.weights import find_weights


def find_in_hub_cache(repository: str) -> Path | None:
    """The newest snapshot of a repository that is whole; None where there is none."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json")
    folder = Path(found).parent if isinstance(found, str) else None
    return folder if folder and find_weights(folder) else None


def hub_snapshots() -> Iterator[tuple[str, Path]]:
    """The models in the hub's cache that are whole: repository and folder."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return
    from huggingface_hub.constants import HF_HUB_CACHE

    for folder in sorted(Path(HF_HUB_CACHE).glob("models--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/")
        if snapshot := find_in_hub_cache(repository):
            yield repository, snapshot
