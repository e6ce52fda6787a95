"""Every error of a request as a reply in the dialect of its path."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from connector.models.scorer import Cancelled
from connector.worker.batcher import Closed, Overloaded
from connector.worker.models import NotLoaded, UnknownModel
from connector.worker.scoring import BadScores
from connector.worker.wire import ErrorType, build_error

CLIENT_CLOSED_REQUEST = 499
LOADING_RETRY_S = 2
REFUSALS = {
    400: "nothing to do, or no JSON",
    401: "the worker asks for an API key",
    404: "no model of that name",
    413: "the body is too long",
    422: "the request cannot be read, or has too many passages",
    424: "the model failed",
    429: "too much is waiting; Retry-After says when to come again",
    503: "the model is still loading, or could not be loaded",
}
log = logging.getLogger(__name__)


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, kind: ErrorType, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s


def documented(shape: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a path, all of them or those with the statuses, for its OpenAPI document."""
    return {status: {"model": shape, "description": REFUSALS[status]} for status in statuses or REFUSALS}


def add_refusals(app: FastAPI) -> None:
    """Let the application answer every error that a request can come to."""

    def refuse(request: Request, status: int, kind: ErrorType, message: str, headers: Any = None) -> JSONResponse:
        return JSONResponse(build_error(request.url.path, status, kind, message), status, headers)

    def retry(after_s: int | None) -> dict[str, str] | None:
        return {"retry-after": str(after_s)} if after_s else None

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return refuse(request, error.status, error.kind, str(error), retry(error.retry_after_s))

    @app.exception_handler(UnknownModel)
    async def no_model(request: Request, error: UnknownModel) -> JSONResponse:
        return refuse(request, 404, "validation", str(error))

    @app.exception_handler(NotLoaded)
    async def not_loaded(request: Request, error: NotLoaded) -> JSONResponse:
        return refuse(request, 503, "unhealthy", str(error), retry(LOADING_RETRY_S if error.passing else None))

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, error: Overloaded) -> JSONResponse:
        return refuse(request, 429, "overloaded", str(error), retry(error.retry_after_s))

    @app.exception_handler(Closed)
    async def closed(request: Request, error: Closed) -> JSONResponse:
        return refuse(request, 503, "unhealthy", str(error), retry(1))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()[:5])
        is_json = all(one["type"] != "json_invalid" for one in error.errors())
        return refuse(request, 422 if is_json else 400, "validation", words)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        return refuse(request, error.status_code, "validation", str(error.detail), error.headers)

    @app.exception_handler(BadScores)
    async def bad_scores(request: Request, error: BadScores) -> JSONResponse:
        return refuse(request, 424, "backend", str(error))

    @app.exception_handler(RuntimeError)
    async def model_failed(request: Request, error: RuntimeError) -> JSONResponse:
        """What torch raises, out of memory for one."""
        log.error("the model failed: %s", error)
        return refuse(request, 424, "backend", f"the model failed: {error}")

    @app.exception_handler(Cancelled)
    async def hung_up(request: Request, error: Cancelled) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
