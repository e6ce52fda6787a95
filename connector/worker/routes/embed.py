"""POST /embed (TEI) and /v1/embeddings (OpenAI, Voyage); GET /encoder."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from connector.headers import TOOK_MS
from connector.models.encoder import EncodingPlan, LocalEncoder
from connector.types import Vectors
from connector.worker.refusals import Refusal, documented
from connector.worker.request_queue import Overloaded
from connector.worker.service import RequestOptions, WorkerService, unless_disconnected
from connector.worker.wire import (
    EmbeddingsReply,
    EmbeddingsRequest,
    EmbedRequest,
    TeiError,
    VllmError,
    build_embed_reply,
    build_embeddings_reply,
    shorten,
)


def embed_routes(service: WorkerService) -> APIRouter:
    """The routes that encode texts."""
    router = APIRouter()

    @router.post("/embed", response_model=list[list[float]], responses=documented(TeiError))
    async def embed(body: EmbedRequest, request: Request) -> JSONResponse:
        """Vectors as text-embeddings-inference gives them."""
        encoder, options = await _prepare(service, request, body.model, body.inputs)
        vectors, _, took_ms = await encode(body, request, encoder, options)
        return JSONResponse(build_embed_reply(vectors), headers={TOOK_MS: took_ms})

    @router.post("/v1/embeddings", response_model=EmbeddingsReply, responses=documented(VllmError))
    async def embeddings(body: EmbeddingsRequest, request: Request) -> JSONResponse:
        """Vectors as OpenAI and Voyage give them."""
        encoder, options = await _prepare(service, request, body.model, body.input)
        vectors, tokens, took_ms = await encode(body, request, encoder, options)
        reply = build_embeddings_reply(body, vectors, model=encoder.name, tokens=tokens)
        return JSONResponse(reply, headers={TOOK_MS: took_ms})

    @router.get("/encoder", responses=documented(TeiError, 404, 503))
    async def describe(model: str | None = None) -> dict[str, Any]:
        """The encoder's fingerprint, and its tokenizer as the library tokenizers reads it: all that cutting passages
        takes."""
        encoder = await service.models.encoder(model, timeout_s=service.settings.max_wait_s)
        return {"fingerprint": asdict(encoder.fingerprint), "tokenizer": encoder.tokenizer_json()}

    async def encode(
        body: EmbedRequest | EmbeddingsRequest, request: Request, encoder: LocalEncoder, options: RequestOptions
    ) -> tuple[Vectors, int, str]:
        """The vectors, how many tokens the model read for them, and the milliseconds it took. Raises Overloaded where
        there was not time for all."""
        started, texts = time.perf_counter(), body.texts
        with service.admitted(request, encoder, texts, options) as place:
            work = service.batcher.run(place, texts, lambda: encoder.plan(texts, are_queries=body.are_queries))
            plan: EncodingPlan | None = await unless_disconnected(request, asyncio.ensure_future(work))
        if plan is None or any(piece.result is None for piece in plan.pieces):
            raise Overloaded(1)
        try:
            vectors = shorten(np.stack([piece.result for piece in plan.pieces]), body.dimensions)
        except ValueError as error:
            raise Refusal(422, "validation", str(error)) from error
        return vectors, sum(piece.length for piece in plan.pieces), f"{(time.perf_counter() - started) * 1000:.1f}"

    return router


async def _prepare(
    service: WorkerService, request: Request, model: str | None, texts: list[str]
) -> tuple[LocalEncoder, RequestOptions]:
    """The encoder and the options of a request that can be answered. Raises Refusal, UnknownModel, NotLoaded."""
    service.check_texts(texts, called="texts", purpose="encode")
    options = service.read_options(request)
    return await service.models.encoder(model, timeout_s=service.load_timeout_s(options)), options
