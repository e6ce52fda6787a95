"""The worker's HTTP interface: POST /rerank, /v1/rerank, /v2/rerank, /score in many dialects; GET /health, /ready, /info."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.config import WorkerSettings
from connector.errors import ModelError
from connector.models.scorer import Cancelled, Scorer, Scores
from connector.worker.lane import BadScores, Lane, Overloaded
from connector.worker.wire import (
    SCOPE,
    CohereError,
    CohereReply,
    CohereRequest,
    CohereV1Error,
    ErrorType,
    RerankRequest,
    RootReply,
    RootRequest,
    ScoreReply,
    ScoreRequest,
    TeiError,
    TeiRequest,
    V1Reply,
    V1Request,
    VllmError,
    build_error,
    build_headers,
    build_reply,
    build_score_reply,
    gather,
    read_scope,
    spans,
)

log = logging.getLogger(__name__)
CLIENT_CLOSED_REQUEST = 499
ERRORS = {
    400: "nothing to rank, or no JSON",
    413: "the body is too long",
    422: "the request cannot be read, or has too many passages",
    424: "the model failed",
    429: "too many requests are waiting; Retry-After says when to come again",
    503: "the model is still loading, or could not be loaded",
}
WARM_UP = (
    "is it ready?",
    ["A short passage.", "A longer passage that warms up the model before the first request. " * 8],
)


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, kind: ErrorType, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s


def create_app(load: Callable[[], Scorer], settings: WorkerSettings) -> FastAPI:
    """The worker as an ASGI application. `load` makes the scorer, in a thread, after the server has started to listen."""
    state = _State()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(state.load(load, settings.max_waiting))
        yield
        loading.cancel()
        if state.lane:
            state.lane.close()

    app = FastAPI(title="connector worker", version=version("hybrid-search-connector"), lifespan=lifespan)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)

    @app.post("/rerank", response_model=RootReply, responses=_errors(TeiError))
    async def rerank(body: RootRequest, request: Request) -> JSONResponse:
        """Rerank as text-embeddings-inference (`texts`), vLLM or Infinity (`documents`) do."""
        return await answer(body, request)

    @app.post("/v1/rerank", response_model=V1Reply, responses=_errors(CohereV1Error))
    async def rerank_v1(body: V1Request, request: Request) -> JSONResponse:
        """Rerank as Cohere's first API, Jina, vLLM, or Voyage (`top_k` or `truncation`) do."""
        return await answer(body, request)

    @app.post("/v2/rerank", response_model=CohereReply, responses=_errors(CohereError))
    async def rerank_v2(body: CohereRequest, request: Request) -> JSONResponse:
        """Rerank as Cohere's second API and vLLM do."""
        return await answer(body, request)

    @app.post("/score", response_model=ScoreReply, responses=_errors(VllmError))
    @app.post("/v1/score", response_model=ScoreReply, responses=_errors(VllmError))
    async def rate(body: ScoreRequest, request: Request) -> JSONResponse:
        """Rate pairs, in the order that they came in, as vLLM does."""
        lane, scope = admit(request, body.text_1, body.text_2)
        started = time.perf_counter()
        parts = []
        for query, positions in body.queries().items():
            texts = [body.text_2[position] for position in positions]
            scores = await lane.score(query, texts, scope=scope, hung_up=request.is_disconnected)
            parts.append((positions, scores))
        scores = gather(parts)
        return JSONResponse(
            build_score_reply(scores, model=lane.scorer.name), headers=_describe(lane.scorer, scores, started)
        )

    async def answer(body: RerankRequest, request: Request) -> JSONResponse:
        lane, scope = admit(request, [body.query], body.texts)
        started = time.perf_counter()
        weights = spans(body.query_weights) if isinstance(body, TeiRequest) else None
        scores = await lane.score(body.query, body.texts, weights=weights, scope=scope, hung_up=request.is_disconnected)
        return JSONResponse(
            build_reply(body, scores, model=lane.scorer.name), headers=_describe(lane.scorer, scores, started)
        )

    def admit(request: Request, queries: Sequence[str], passages: Sequence[str]) -> tuple[Lane, str]:
        """The lane and the cache scope for a request that can be scored. Raises Refusal."""
        lane = state.ready_lane()
        if not passages:
            raise Refusal(400, "empty", "there is nothing to rank: the list of passages is empty")
        if not all(query.strip() for query in queries):
            raise Refusal(400, "empty", "the query is empty")
        if len(passages) > settings.max_pairs:
            raise Refusal(
                422, "validation", f"{len(passages)} passages in one request; at most {settings.max_pairs} are taken"
            )
        try:
            return lane, read_scope(request.headers.get(SCOPE))
        except ValueError as error:
            raise Refusal(422, "validation", str(error)) from error

    @app.get("/health", summary="Whether the process lives", response_class=Response)
    async def health() -> Response:
        return Response(status_code=200)

    @app.get("/ready", summary="Whether the model is loaded and warmed up", responses=_errors(TeiError, 503))
    async def ready() -> dict[str, str]:
        state.ready_lane()
        return {"status": "ready"}

    @app.get("/info", summary="The model and the limits", responses=_errors(TeiError, 503))
    async def info() -> dict[str, Any]:
        scorer = state.ready_lane().scorer
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
            "version": app.version,
            "sha": None,
            "docker_label": None,
        }

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        headers = {"retry-after": str(error.retry_after_s)} if error.retry_after_s else None
        return JSONResponse(build_error(request.url.path, error.status, error.kind, str(error)), error.status, headers)

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, error: Overloaded) -> JSONResponse:
        return await refused(request, Refusal(429, "overloaded", str(error), retry_after_s=error.retry_after_s))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()[:5])
        return await refused(request, Refusal(422, "validation", words))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        reply = build_error(request.url.path, error.status_code, "validation", str(error.detail))
        return JSONResponse(reply, error.status_code, error.headers)

    @app.exception_handler(BadScores)
    async def bad_scores(request: Request, error: BadScores) -> JSONResponse:
        return await refused(request, Refusal(424, "backend", str(error)))

    @app.exception_handler(RuntimeError)
    async def model_failed(request: Request, error: RuntimeError) -> JSONResponse:
        """What torch raises, out of memory for one."""
        log.error("the model failed: %s", error)
        return await refused(request, Refusal(424, "backend", f"the model failed: {error}"))

    @app.exception_handler(Cancelled)
    async def hung_up(request: Request, error: Cancelled) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    return app


def _errors(shape: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a path, all of them or those with the statuses, for its OpenAPI document."""
    return {status: {"model": shape, "description": ERRORS[status]} for status in statuses or ERRORS}


def _describe(scorer: Scorer, scores: Scores, started: float) -> dict[str, str]:
    """The headers of a reply; `started` is when its scoring began."""
    took_ms = (time.perf_counter() - started) * 1000
    log.debug("scored %d pairs, %d tokens in %.1f ms", len(scores.values), scores.tokens, took_ms)
    return build_headers(scores, kind=scorer.kind, fingerprint=scorer.fingerprint, took_ms=took_ms)


class _State:
    """The lane once the model is loaded, or why it could not be."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.failure: str | None = None

    async def load(self, load: Callable[[], Scorer], max_waiting: int) -> None:
        try:
            scorer = await asyncio.to_thread(load)
            await asyncio.to_thread(scorer.score, *WARM_UP)
        except (ModelError, OSError, RuntimeError, ValueError) as error:
            self.failure = str(error)
            log.error("cannot load the model: %s", error)
            return
        self.lane = Lane(scorer, max_waiting=max_waiting)
        log.info("ready: %s", scorer.fingerprint)

    def ready_lane(self) -> Lane:
        if self.failure:
            raise Refusal(503, "unhealthy", f"the model could not be loaded: {self.failure}")
        if self.lane is None:
            raise Refusal(503, "unhealthy", "the model is still loading; try again in a few seconds", retry_after_s=2)
        return self.lane


class BodyLimit:
    """Answers 413 to a body that is longer than `max_bytes`, before it is all read."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            return await self._refuse(scope, receive, send)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                return await self._refuse(scope, receive, send)
            if not message.get("more_body", False):
                break
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the body is longer than {self._max_bytes} bytes; send fewer or shorter passages"
        reply = JSONResponse(build_error(scope["path"], 413, "validation", message), 413, {"connection": "close"})
        await reply(scope, receive, send)
