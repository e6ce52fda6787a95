"""The hub of Hugging Face, or a mirror of it in HF_ENDPOINT. What is fetched goes to its cache: hub_cache.py."""

from __future__ import annotations

import fnmatch
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import ModelError
from connector.extras import needs
from connector.models.bert_family import why_not
from connector.models.hashes import file_sha256
from connector.models.places.progress import MEGABYTE
from connector.models.places.source import ModelSource, write_source
from connector.models.places.weights import GRAPHS
from connector.models.versions import installed
from connector.settings.sections import ModelPlaceSettings
from connector.tls import trust

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

TIMEOUT_S = 10.0
READ_S = 30.0
DESCRIPTIONS = ("*.json", "*.txt", "*.model", "*.jinja")
# conversions for other programs, and copies of the same weights; code and what is pickled are never asked for
LEFT_OUT = ("onnx/*", "openvino/*", "coreml/*", "tf/*", "flax/*", "original/*", "consolidated*", "*gguf*", ".*")
log = logging.getLogger(__name__)


def fetch_from_hub(repository: str, settings: ModelPlaceSettings) -> Path:
    """The folder of a repository's newest snapshot, in the hub's cache; what is there already is not fetched again.

    Raises ModelError."""
    with needs("local", "fetching a model from the hub"):
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download
        from huggingface_hub.errors import HTTPError  # its versions bring HTTP clients of their own
        from huggingface_hub.utils import disable_progress_bars
    if not sys.stderr.isatty():
        disable_progress_bars()
    _trust(settings)
    try:
        about = HfApi().model_info(repository, timeout=TIMEOUT_S, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in about.siblings or ()}
        config = hf_hub_download(repository, "config.json", etag_timeout=TIMEOUT_S) if "config.json" in sizes else None
        chosen = choose_files(list(sizes), graph_first=config is not None and not _runs_from_weights(Path(config)))
        log.info("%s: %d files, %.0f MB", repository, len(chosen), sum(sizes[name] for name in chosen) / MEGABYTE)
        folder = Path(snapshot_download(repository, allow_patterns=chosen, etag_timeout=TIMEOUT_S))
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        log.debug("%s was not fetched", repository, exc_info=True)
        raise ModelError(_first_line(error)) from error
    _check(folder, chosen, about)
    hashes = {name: file_sha256(folder / name) for name in chosen}
    write_source(folder, ModelSource(repository, f"hub, revision {about.sha}", _licence(about), hashes))
    return folder


def choose_files(names: Sequence[str], *, graph_first: bool = False) -> list[str]:
    """What of a repository's files is fetched: its descriptions, and its weights once: safetensors or else a graph, or
    the other way round.

    Raises ModelError where it has neither."""
    ours = [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in LEFT_OUT)]
    chosen = [name for name in ours if any(fnmatch.fnmatch(name, pattern) for pattern in DESCRIPTIONS)]
    weights = [name for name in ours if name.endswith(".safetensors")]
    graph = next((name for name in GRAPHS if name in names), None)
    if graph and (graph_first or not weights):
        weights = [name for name in (graph, f"{graph}_data", f"{graph}.data") if name in names]
    if not weights:
        raise ModelError("it has no *.safetensors and no graph (model.onnx); pickled weights are not loaded")
    return chosen + weights


def _runs_from_weights(config: Path) -> bool:
    """Whether a model with that configuration can be run from its safetensors here: by torch, or since its graph can be
    built from them."""
    return bool(installed("torch")) or not why_not(json.loads(config.read_text(encoding="utf-8")))


def _trust(settings: ModelPlaceSettings) -> None:
    """Let the library trust the CA that is set. Without one it trusts what this machine does, and a program's own
    choice stays."""
    if settings.ca_cert is None:
        return
    import huggingface_hub
    from huggingface_hub import constants

    context, session = trust(settings.ca_cert, setting="models.ca_cert"), huggingface_hub.get_session()
    hooks = session.event_hooks  # of the library; its versions bring HTTP clients of their own
    huggingface_hub.set_client_factory(
        lambda: type(session)(verify=context, event_hooks=hooks, follow_redirects=True, timeout=READ_S)
    )
    constants.HF_HUB_DISABLE_XET = True  # another way to the same files, which can be given no CA


def _check(folder: Path, names: Sequence[str], about: ModelInfo) -> None:
    """Compare the large files with the hashes that the hub has of them, and forget those that differ."""
    published: Mapping[str, Any] = {file.rfilename: file.lfs for file in about.siblings or () if file.lfs}
    for name in set(names) & set(published):
        file, sha256 = folder / name, published[name].sha256
        if sha256 and file_sha256(file) != sha256:
            file.resolve().unlink()
            file.unlink(missing_ok=True)
            raise ModelError(f"{name} was not read as the hub has it (its sha256 is not {sha256}); fetch it again")


def _licence(about: ModelInfo) -> str:
    card = about.card_data.to_dict() if about.card_data else {}
    return str(card.get("license") or "not said")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
