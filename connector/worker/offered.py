"""Settings of a worker -> the models that it offers: each is loaded when somebody asks for it."""

from __future__ import annotations

from connector.models.files import DEFAULT_PLACES, find_model, short_name, weights_bytes
from connector.models.load import load_local_encoder, load_scorer, reranker_kind
from connector.models.model import Model
from connector.settings.sections import ModelPlaceSettings, ModelSettings, WorkerSettings
from connector.worker.models import OfferedModel


def offer_models(settings: WorkerSettings, places: ModelPlaceSettings = DEFAULT_PLACES) -> list[OfferedModel]:
    """The models of a worker besides its first reranker: those of worker.models, and worker.encoder. Those that are not
    here come from `places`."""
    encoder = ModelSettings(model=settings.encoder, kind="encoder", device=settings.device, backend="auto")
    return [
        *(_offered(name, model, settings, places) for name, model in settings.models.items()),
        _offered(short_name(settings.encoder), encoder, settings, places),
    ]


def _offered(name: str, model: ModelSettings, worker: WorkerSettings, places: ModelPlaceSettings) -> OfferedModel:
    """A model of the worker that is loaded when somebody asks for it."""

    def load() -> Model:
        find_model(model.model, places)
        if model.kind == "encoder":
            assert model.backend != "onnx-int8"
            assert model.backend != "openvino"
            assert model.backend != "openvino-int8"
            return load_local_encoder(model.model, model.device, model.backend, worker.max_batch_tokens)
        return load_scorer(model, worker)

    def count_bytes() -> int:
        folder = find_model(model.model, places)
        cached = worker.cache_bytes if model.kind != "encoder" and reranker_kind(model) == "late-interaction" else 0
        return weights_bytes(folder) + cached

    return OfferedModel("embed" if model.kind == "encoder" else "rerank", name, load, count_bytes)
