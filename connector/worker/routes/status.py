"""GET /health, /ready, /metrics, /info (TEI), /v1/models (OpenAI)."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connector.worker.load_headers import note_model
from connector.worker.metrics import CONTENT_TYPE
from connector.worker.refusals import documented
from connector.worker.service import WorkerService
from connector.worker.wire import TeiError


def status_routes(service: WorkerService) -> APIRouter:
    """The routes that say how the worker is, and what it has."""
    router = APIRouter()
    settings = service.settings

    @router.get("/health", summary="Whether the process lives", response_class=Response)
    async def health() -> Response:
        return Response(status_code=200)

    @router.get("/ready", summary="Whether the model is loaded and warmed up", responses=documented(TeiError, 503))
    async def ready() -> dict[str, str]:
        service.models.first()
        return {"status": "ready"}

    @router.get(
        "/metrics",
        summary="What the worker counts, for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def counted() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    @router.get("/v1/models", summary="The models, and whether they are loaded")
    async def models() -> dict[str, Any]:
        return {
            "object": "list",
            "data": [
                {"id": offered.name, "object": "model", "created": 0, "owned_by": "connector"}
                | {"task": offered.task, "loaded": loaded}
                for offered, loaded in service.models.list()
            ],
        }

    @router.get("/info", summary="A reranker and the limits", responses=documented(TeiError, 404, 503))
    async def info(request: Request, model: str | None = None) -> dict[str, Any]:
        scorer = await service.models.scorer(model, timeout_s=settings.max_wait_s)
        note_model(request.scope, scorer)
        return {
            "model_id": scorer.name,
            "model_sha": None,
            "model_dtype": "float32",  # of the scores
            "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}},
            "kind": scorer.kind,
            "fingerprint": scorer.fingerprint,
            "max_input_length": scorer.max_length,
            "max_client_batch_size": settings.max_pairs,
            "max_batch_tokens": settings.max_batch_tokens,
            "max_batch_requests": None,
            "max_concurrent_requests": settings.max_waiting,
            "auto_truncate": True,
            "tokenization_workers": 1,
            "version": version("hybrid-search-connector"),
            "sha": None,
            "docker_label": None,
        }

    return router
