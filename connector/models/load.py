"""Settings of a model -> the model, loaded: which backend runs it, and what is exported and checked first."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from connector.errors import ModelError
from connector.extras import needs
from connector.models.backends import Backend, agreement_file, identify
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.devices import runs_on_cpu
from connector.models.encoder import LocalEncoder
from connector.models.fastest import find_fastest
from connector.models.files import find_model
from connector.models.late_interaction import LateInteractionScorer
from connector.models.onnx.agreement import Agreement, compare, require_agreement
from connector.models.onnx.build import find_way
from connector.models.places.weights import holds_safetensors
from connector.models.scorer import Scorer, ScorerKind, detect_kind
from connector.models.versions import installed
from connector.settings.sections import ModelSettings, WorkerSettings

log = logging.getLogger(__name__)


@needs("local", "a model in this process")
@needs("torch", "a model that onnxruntime cannot run")
def load_local_encoder(
    model: str, device: str | None, backend: Literal["exact", "auto", "torch", "onnx"], max_batch_tokens: int
) -> LocalEncoder:
    """An encoder in this process. `exact` and `auto` are onnx on a CPU where that gives the same vectors, else
    torch."""
    if backend in ("torch", "onnx"):
        return LocalEncoder(model, device=device, backend=backend, max_batch_tokens=max_batch_tokens)
    if _belongs_on_cpu(model, device):
        try:
            return LocalEncoder(model, backend="onnx", max_batch_tokens=max_batch_tokens)
        except ModelError as error:
            if not _can_run_in_torch(model):
                raise
            log.info("encoding with torch: %s", error)
            log.debug("why there is no graph", exc_info=True)
    return LocalEncoder(model, device=device, max_batch_tokens=max_batch_tokens)


@needs("local", "a model in this process")
@needs("torch", "a model that onnxruntime cannot run")
def load_scorer(model: ModelSettings, worker: WorkerSettings) -> Scorer:
    """A reranker of a worker; takes seconds, and half a minute where its graph is to be exported first. Raises
    ModelError.

    `exact` is onnx on a CPU where that gives the same scores and can be loaded without torch, else torch."""
    backend = model.backend
    if backend == "exact":
        if _belongs_on_cpu(model.model, model.device) and not _needs_export(model):
            try:
                return _load_scorer(model, worker, "onnx")
            except ModelError as error:
                if not _can_run_in_torch(model.model):
                    raise
                log.info("scoring with torch: %s", error)
                log.debug("why there is no graph", exc_info=True)
        return _load_scorer(model, worker, "torch")
    if backend == "auto":
        measure = partial(export_scorer, model, worker)
        on_cpu = _belongs_on_cpu(model.model, model.device)
        backend = find_fastest(_identity(model), measure, original=_original(model)) if on_cpu else "torch"
    if backend != "torch" and not agreement_file(_identity(model), backend).exists():
        export_scorer(model, worker, backend)
    return _load_scorer(model, worker, backend)


@needs("local", "exporting a model")
@needs("torch", "exporting a model of this kind")
def export_scorer(model: ModelSettings, worker: WorkerSettings, backend: Backend) -> Agreement:
    """Make the graph for the backend, unless it is there, and check it against the original: the model in torch, or the
    graph in 32 bits where torch cannot run it. Raises ModelError where they disagree."""
    file = agreement_file(_identity(model), backend)
    file.unlink(missing_ok=True)
    found = compare(_load_scorer(model, worker, _original(model)), _load_scorer(model, worker, backend))
    require_agreement(found, model.model, backend)
    file.write_text(json.dumps(asdict(found)) + "\n", encoding="ascii")
    return found


def _can_run_in_torch(model: str) -> bool:
    return bool(installed("sentence-transformers")) and holds_safetensors(find_model(model))


def _belongs_on_cpu(model: str, device: str | None) -> bool:
    return runs_on_cpu(device) or (device is None and not _can_run_in_torch(model))


def _needs_export(model: ModelSettings) -> bool:
    """Whether the graph of a cross-encoder is one that torch exports, which then has to run what is around it too."""
    kind = reranker_kind(model)
    return kind == "cross-encoder" and find_way(find_model(model.model), kind)[0] == "exported"


def _original(model: ModelSettings) -> Backend:
    """What the other backends are compared with."""
    return "torch" if _can_run_in_torch(model.model) else "onnx"


def _identity(model: ModelSettings) -> str:
    """Names a reranker's weights and kind."""
    return identify(find_model(model.model), reranker_kind(model))


def reranker_kind(model: ModelSettings) -> ScorerKind:
    """What kind of reranker a model is."""
    assert model.kind != "encoder"
    return detect_kind(model.model) if model.kind == "auto" else model.kind


def _load_scorer(model: ModelSettings, worker: WorkerSettings, backend: Backend) -> Scorer:
    limits: dict[str, Any] = {
        "device": model.device,
        "backend": backend,
        "max_length": model.max_length,
        "max_batch_tokens": worker.max_batch_tokens,
    }
    if reranker_kind(model) == "cross-encoder":
        return CrossEncoderScorer(model.model, **limits)
    return LateInteractionScorer(model.model, **limits, cache_bytes=worker.cache_bytes)
