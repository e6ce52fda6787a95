"""Every error of a request as a reply in the dialect of its path."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.errors import ModelError
from connector.models.scorer import Cancelled
from connector.worker.batcher import Closed
from connector.worker.models import NotLoaded, UnknownModel
from connector.worker.request_log import facts_of
from connector.worker.request_queue import Overloaded
from connector.worker.wire import ErrorType, build_error

CLIENT_CLOSED_REQUEST = 499
LOADING_RETRY_S = 2
REFUSALS = {
    400: "nothing to do, or no JSON",
    401: "the worker asks for an API key",
    404: "no model of that name",
    413: "the body is too long, packed or unpacked",
    415: "the body's content encoding is none that is read here",
    422: "the request cannot be read, or has too many passages",
    424: "the model failed",
    429: "too much is waiting; Retry-After says when to come again",
    500: "a fault of the worker itself; its log has the traceback under the request's id",
    503: "the model is still loading or could not be loaded, or the worker is stopping",
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
    """The errors of a path, all of them or those with the statuses, for its OpenAPI document.

    The first brings the shape, and the others name it: FastAPI makes a validator for each that brings one, which took
    most of the time in which a worker's application was made."""
    named = {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}
    first, *others = statuses or REFUSALS
    return {
        first: {"model": shape, "description": REFUSALS[first]},
        **{
            status: {"description": REFUSALS[status], "content": {"application/json": dict(named)}} for status in others
        },
    }


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
        problems = error.errors()
        words = "; ".join(map(_words, problems[:5]))
        is_json = all(found["type"] != "json_invalid" for found in problems)
        return refuse(request, 422 if is_json else 400, "validation", words)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if headers.get("allow") == "GET":
            headers["allow"] = "GET, HEAD"  # see AnswerHead
        cause = error.__cause__  # what the framework met in reading the body, and does not tell
        detail = f"the body cannot be read: {_cause(cause)}" if cause else str(error.detail)
        return refuse(request, error.status_code, "validation", detail, headers)

    @app.exception_handler(ModelError)
    async def model_failed(request: Request, error: ModelError) -> JSONResponse:
        """What came out of a model's run: the batcher has logged it."""
        return refuse(request, 424, "backend", str(error))

    @app.exception_handler(Cancelled)
    async def disconnected(request: Request, error: Cancelled) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)


def _words(problem: Mapping[str, Any]) -> str:
    """What is wrong with a body, and where."""
    place = ".".join(map(str, problem["loc"][1:]))
    if problem["type"] == "json_invalid":
        return f"the body is not JSON: {problem['ctx']['error']} at character {place}"
    if not place and problem["type"] == "missing":
        return "there is no body; send JSON"
    return f"{place or 'body'}: {problem['msg']}"


def _cause(error: BaseException) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error) or type(error).__name__


class AnswerFaults:
    """500 in the dialect of the path for what no part of the worker has foreseen, whose traceback goes to the log
    alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:  # any fault of ours: the caller is told, the log has it, and the worker serves on
            log.exception("request %s came to a fault of the worker", facts_of(scope).id)
            if has_begun:
                raise
            message = "the worker came to a fault of its own; its log has it under this reply's x-request-id"
            await JSONResponse(build_error(scope["path"], 500, "backend", message), 500)(scope, receive, send)
