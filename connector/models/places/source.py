"""`source.json` of a model's folder: the model's published name, and where the folder came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE_FILE = "source.json"
MEMBERS = frozenset({"name", "from", "licence", "sha256"})


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What a folder that was fetched says of itself. `sha256` has the hash of each file, by its path in the folder."""

    name: str
    place: str
    licence: str
    sha256: Mapping[str, str]


def read_source(folder: Path) -> ModelSource | None:
    """What source.json says; None where there is none, or it is not ours."""
    try:
        content = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not MEMBERS.issubset(content):
        return None
    return ModelSource(content["name"], content["from"], content["licence"], content["sha256"])


def write_source(folder: Path, source: ModelSource) -> None:
    content = {"name": source.name, "from": source.place, "licence": source.licence, "sha256": dict(source.sha256)}
    (folder / SOURCE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
