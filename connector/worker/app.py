"""The worker's HTTP interface: POST /rerank, /v1/rerank, /v2/rerank, /score in many dialects; GET /health, /ready, /info, /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from connector.config import WorkerSettings, split_keys
from connector.models.late_interaction import LateInteractionScorer
from connector.models.scorer import Cancelled, Scorer, Scores
from connector.worker.access import PRINCIPAL, BodyLimit, RequireKey
from connector.worker.batcher import BadScores, Batcher, Closed, Overloaded
from connector.worker.metrics import CONTENT_TYPE, CountRequests, Metrics, Reading
from connector.worker.wire import (
    BUDGET,
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
    read_budget,
    read_scope,
    reads_memory,
    spans,
)

log = logging.getLogger(__name__)
T = TypeVar("T")
CLIENT_CLOSED_REQUEST = 499
HANGUP_CHECK_S = 0.05
ERRORS = {
    400: "nothing to rank, or no JSON",
    401: "the worker asks for an API key",
    413: "the body is too long",
    422: "the request cannot be read, or has too many passages",
    424: "the model failed",
    429: "too much is waiting; Retry-After says when to come again",
    503: "the model is still loading, or could not be loaded",
}
PATHS = frozenset(
    {"/rerank", "/v1/rerank", "/v2/rerank", "/score", "/v1/score", "/health", "/ready", "/info", "/metrics"}
)
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
    metrics = Metrics()
    state = _State(settings, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(state.load(load))
        yield
        loading.cancel()
        if state.batcher:
            state.batcher.close()

    app = FastAPI(title="connector worker", version=version("hybrid-search-connector"), lifespan=lifespan)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequireKey, keys=split_keys(settings.api_keys))
    app.add_middleware(CountRequests, metrics=metrics, paths=PATHS)

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
        batcher, memory, budget_s = check(request, body.text_1, body.text_2)
        started = time.perf_counter()
        groups = body.queries()
        with batcher.admitted(body.text_2, budget_s) as place:
            work = (
                batcher.score(place, query, [body.text_2[position] for position in positions], **memory)
                for query, positions in groups.items()
            )
            found = await unless_hung_up(request, asyncio.gather(*work))
        scores = gather(list(zip(groups.values(), found, strict=True)))
        return JSONResponse(
            build_score_reply(scores, model=batcher.scorer.name), headers=describe(batcher.scorer, scores, started)
        )

    async def answer(body: RerankRequest, request: Request) -> JSONResponse:
        batcher, memory, budget_s = check(request, [body.query], body.texts)
        started = time.perf_counter()
        weights = spans(body.query_weights) if isinstance(body, TeiRequest) else None
        with batcher.admitted(body.texts, budget_s) as place:
            work = batcher.score(place, body.query, body.texts, weights=weights, **memory)
            scores = await unless_hung_up(request, asyncio.ensure_future(work))
        return JSONResponse(
            build_reply(body, scores, model=batcher.scorer.name), headers=describe(batcher.scorer, scores, started)
        )

    def describe(scorer: Scorer, scores: Scores, started: float) -> dict[str, str]:
        """The headers of a reply; `started` is when its scoring began."""
        took_ms = (time.perf_counter() - started) * 1000
        metrics.count_unscored(len(scores.unscored))
        log.debug("scored %d pairs, %d tokens in %.1f ms", len(scores.values), scores.tokens, took_ms)
        return build_headers(scores, kind=scorer.kind, fingerprint=scorer.fingerprint, took_ms=took_ms)

    def check(
        request: Request, queries: Sequence[str], passages: Sequence[str]
    ) -> tuple[Batcher, dict[str, Any], float | None]:
        """The batcher, what it may remember (options of its `score`), and the budget in seconds, of a request that can be scored.

        Raises Refusal."""
        batcher = state.ready()
        if not passages:
            raise Refusal(400, "empty", "there is nothing to rank: the list of passages is empty")
        if not all(query.strip() for query in queries):
            raise Refusal(400, "empty", "the query is empty")
        if len(passages) > settings.max_pairs:
            raise Refusal(
                422, "validation", f"{len(passages)} passages in one request; at most {settings.max_pairs} are taken"
            )
        try:
            scope = read_scope(request.headers.get(SCOPE), principal=request.scope.get(PRINCIPAL, ""))
            memory = {"scope": scope, "recall": reads_memory(request.headers.get("cache-control"))}
            return batcher, memory, read_budget(request.headers.get(BUDGET))
        except ValueError as error:
            raise Refusal(422, "validation", str(error)) from error

    @app.get("/health", summary="Whether the process lives", response_class=Response)
    async def health() -> Response:
        return Response(status_code=200)

    @app.get("/ready", summary="Whether the model is loaded and warmed up", responses=_errors(TeiError, 503))
    async def ready() -> dict[str, str]:
        state.ready()
        return {"status": "ready"}

    @app.get("/metrics", summary="What the worker counts, for Prometheus", response_class=Response)
    async def counted() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/info", summary="The model and the limits", responses=_errors(TeiError, 503))
    async def info() -> dict[str, Any]:
        scorer = state.ready().scorer
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

    @app.exception_handler(Closed)
    async def closed(request: Request, error: Closed) -> JSONResponse:
        return await refused(request, Refusal(503, "unhealthy", str(error), retry_after_s=1))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()[:5])
        is_json = all(one["type"] != "json_invalid" for one in error.errors())
        return await refused(request, Refusal(422 if is_json else 400, "validation", words))

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


async def unless_hung_up(request: Request, work: asyncio.Future[T]) -> T:
    """The result of the work, which is given up where the caller has closed the connection. Raises Cancelled then."""
    try:
        while not work.done():
            await asyncio.wait([work], timeout=HANGUP_CHECK_S)
            if not work.done() and await request.is_disconnected():
                raise Cancelled
        return work.result()
    finally:
        work.cancel()


def _errors(shape: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a path, all of them or those with the statuses, for its OpenAPI document."""
    return {status: {"model": shape, "description": ERRORS[status]} for status in statuses or ERRORS}


class _State:
    """The batcher once the model is loaded, or why it could not be."""

    def __init__(self, settings: WorkerSettings, metrics: Metrics) -> None:
        self.batcher: Batcher | None = None
        self.failure: str | None = None
        self._settings, self._metrics = settings, metrics

    async def load(self, load: Callable[[], Scorer]) -> None:
        try:
            scorer = await asyncio.to_thread(load)
            await asyncio.to_thread(scorer.score, *WARM_UP)
        except Exception as error:  # whatever it is, every caller has to be told
            self.failure = str(error) or type(error).__name__
            log.error("cannot load the model: %s", self.failure)
            return
        settings = self._settings
        self.batcher = Batcher(
            scorer,
            max_waiting=settings.max_waiting,
            max_wait_s=settings.max_wait_s,
            cache_bytes=settings.score_cache_bytes,
            metrics=self._metrics,
        )
        self._metrics.read(_readings(self.batcher))
        log.info("ready: %s", scorer.fingerprint)

    def ready(self) -> Batcher:
        if self.failure:
            raise Refusal(503, "unhealthy", f"the model could not be loaded: {self.failure}")
        if self.batcher is None:
            raise Refusal(503, "unhealthy", "the model is still loading; try again in a few seconds", retry_after_s=2)
        return self.batcher


def _readings(batcher: Batcher) -> list[Reading]:
    """What is counted elsewhere and read when somebody asks."""
    found: list[Reading] = [
        ("waiting", "requests under way", False, lambda: batcher.under_way),
        (
            "queue_age_seconds",
            "for how long the oldest request has waited for its first batch",
            False,
            batcher.oldest_s,
        ),
        ("tokens_per_second", "the speed of the last batches", False, lambda: batcher.rate),
        ("score_cache_entries", "scores remembered", False, lambda: len(batcher.cache)),
    ]
    if isinstance(batcher.scorer, LateInteractionScorer):
        cache = batcher.scorer.cache
        found += [
            ("token_cache_hits", "passages whose token vectors were remembered", True, lambda: cache.hits),
            ("token_cache_misses", "passages whose token vectors were not", True, lambda: cache.misses),
            ("token_cache_bytes", "bytes of token vectors remembered", False, lambda: cache.bytes),
        ]
    return found
