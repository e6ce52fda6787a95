"""POST /rerank, /v1/rerank, /v2/rerank, /score, /v1/score in many dialects."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from connector.models.scorer import Scorer, Scores, between_0_and_1
from connector.worker.load_headers import note_model
from connector.worker.refusals import Refusal, documented
from connector.worker.request_queue import QueuedRequest
from connector.worker.service import RequestOptions, WorkerService, unless_disconnected
from connector.worker.wire import (
    CohereError,
    CohereReply,
    CohereRequest,
    CohereV1Error,
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
    build_headers,
    build_reply,
    build_score_reply,
    gather,
    spans,
)

log = logging.getLogger(__name__)


def rerank_routes(service: WorkerService) -> APIRouter:
    """The routes that score pairs."""
    router = APIRouter()

    @router.post("/rerank", response_model=RootReply, responses=documented(TeiError))
    async def rerank(body: RootRequest, request: Request) -> JSONResponse:
        """Rerank as text-embeddings-inference (`texts`), vLLM or Infinity (`documents`) do."""
        return await answer(body, request)

    @router.post("/v1/rerank", response_model=V1Reply, responses=documented(CohereV1Error))
    async def rerank_v1(body: V1Request, request: Request) -> JSONResponse:
        """Rerank as Cohere's first API, Jina, vLLM, or Voyage (`top_k` or `truncation`) do."""
        return await answer(body, request)

    @router.post("/v2/rerank", response_model=CohereReply, responses=documented(CohereError))
    async def rerank_v2(body: CohereRequest, request: Request) -> JSONResponse:
        """Rerank as Cohere's second API and vLLM do."""
        return await answer(body, request)

    @router.post("/score", response_model=ScoreReply, responses=documented(VllmError))
    @router.post("/v1/score", response_model=ScoreReply, responses=documented(VllmError))
    async def rate(body: ScoreRequest, request: Request) -> JSONResponse:
        """Rate pairs, in the order that they came in, as vLLM does."""
        scorer, options = await _prepare(service, request, body.model, body.text_1, body.text_2)
        started = time.perf_counter()
        groups = body.queries()

        async def score(place: QueuedRequest) -> list[Scores]:
            return await _score_groups(service, place, scorer, body.text_2, groups, options)

        with service.admitted(request, scorer, body.text_2, options) as place:
            found = await unless_disconnected(request, asyncio.ensure_future(score(place)))
        scores = gather(list(zip(groups.values(), found, strict=True)))
        if not body.wants_raw:
            scores = between_0_and_1(scores, scorer.kind)
        return JSONResponse(
            build_score_reply(scores, model=scorer.name), headers=_describe(service, scorer, scores, started)
        )

    async def answer(body: RerankRequest, request: Request) -> JSONResponse:
        scorer, options = await _prepare(service, request, body.model, [body.query], body.texts)
        started = time.perf_counter()
        weights = spans(body.query_weights) if isinstance(body, TeiRequest) else None
        with service.admitted(request, scorer, body.texts, options) as place:
            work = service.scoring.score(
                place, scorer, body.query, body.texts, weights=weights, scope=options.scope, use_cache=options.use_cache
            )
            scores = await unless_disconnected(request, asyncio.ensure_future(work))
        if not body.wants_raw:
            scores = between_0_and_1(scores, scorer.kind)
        return JSONResponse(
            build_reply(body, scores, model=scorer.name), headers=_describe(service, scorer, scores, started)
        )

    return router


async def _prepare(
    service: WorkerService, request: Request, model: str | None, queries: Sequence[str], passages: Sequence[str]
) -> tuple[Scorer, RequestOptions]:
    """The scorer and the options of a request that can be scored. Raises Refusal, UnknownModel, NotLoaded."""
    service.models.first()
    service.check_texts(passages, called="passages", purpose="rank")
    if not all(query.strip() for query in queries):
        raise Refusal(400, "empty", "the query is empty")
    options = service.read_options(request)
    scorer = await service.models.scorer(model, timeout_s=service.load_timeout_s(options))
    note_model(request.scope, scorer)
    return scorer, options


async def _score_groups(
    service: WorkerService,
    place: QueuedRequest,
    scorer: Scorer,
    texts: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    options: RequestOptions,
) -> list[Scores]:
    """The scores of each query's passages, which are those texts at its positions.

    To be run in a task of its own: a gathering that is cancelled itself leaves an error that nobody has read."""

    async def score(query: str, positions: Sequence[int]) -> Scores:
        passages = [texts[at] for at in positions]
        return await service.scoring.score(
            place, scorer, query, passages, scope=options.scope, use_cache=options.use_cache
        )

    return await asyncio.gather(*(score(query, positions) for query, positions in groups.items()))


def _describe(service: WorkerService, scorer: Scorer, scores: Scores, started: float) -> dict[str, str]:
    """The headers of a reply; `started` is when its scoring began."""
    took_ms = (time.perf_counter() - started) * 1000
    service.metrics.count_unscored(len(scores.unscored))
    log.debug("scored %d pairs, %d tokens in %.1f ms", len(scores.values), scores.tokens, took_ms)
    return build_headers(scores, kind=scorer.kind, fingerprint=scorer.fingerprint, took_ms=took_ms)
