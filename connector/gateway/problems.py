"""Every error as a problem of RFC 9457: one table from the tree of errors to the statuses of HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from connector.errors import (
    AccessDenied,
    CircuitOpen,
    ClusterError,
    ClusterUnavailable,
    ConnectorClosed,
    ConnectorError,
    CredentialsError,
    CursorError,
    CursorExpired,
    FilterError,
    IndexMissing,
    QueryError,
    SearchFailed,
    SettingsError,
    TlsError,
    ViewLost,
    WorkerError,
    WorkerUnavailable,
)
from connector.gateway.lazy_connector import NotOpen

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:hybrid-search-connector:"
RETRY_S = 2

# the first class that an error is of decides
STATUSES: Sequence[tuple[type[ConnectorError], int]] = (
    (NotOpen, 503),
    (CursorExpired, 410),
    (ViewLost, 410),
    (CursorError, 400),
    (QueryError, 400),
    (FilterError, 400),
    (SettingsError, 400),  # a number of the request: the settings themselves were checked at the start
    (CredentialsError, 400),
    (AccessDenied, 403),
    (IndexMissing, 404),
    (ClusterUnavailable, 503),
    (WorkerUnavailable, 503),
    (CircuitOpen, 503),
    (SearchFailed, 503),
    (ConnectorClosed, 503),
    (TlsError, 502),
    (ClusterError, 502),
    (WorkerError, 502),
    (ConnectorError, 500),
)
WORDS = {
    400: "the request cannot be answered: its query, filter, cursor or credentials",
    401: "the cluster asks for credentials; send them as Authorization",
    403: "the credentials may not search the index",
    404: "there is no such index, none that the API searches, or no such page",
    405: "the page takes another method",
    410: "the pages behind the cursor are over",
    413: "the body is longer than gateway.max_search_bytes",
    415: "the body is no application/json",
    421: "the API is not known under the name in Host; gateway.api_hosts",
    422: "the body has an unknown key, or a value of another type",
    500: "a fault of the API itself; its log has the traceback",
    502: "the cluster failed, or answered what cannot be right",
    503: "not now: the index cannot be opened, or no leg answered; Retry-After says when to come again",
}


class WrongKey(TypedDict):
    """What is wrong with a body, and where: a JSON pointer."""

    pointer: str
    detail: str


class ProblemJson(TypedDict):
    """A problem of RFC 9457. `detail` says what to do next."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongKey]]


class ApiRefusal(Exception):
    """A request that is refused before anything is asked: its status and its short name."""

    def __init__(self, status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.name, self.headers = status, name, headers


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a page, for its OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemJson"}
    return {
        status: {"description": WORDS[status], "content": {PROBLEM_TYPE: {"schema": schema}}} for status in statuses
    }


def problem(
    status: int,
    name: str,
    title: str,
    detail: str,
    *,
    errors: Sequence[WrongKey] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A reply that says what went wrong."""
    body: ProblemJson = {"type": TYPE_PREFIX + name, "title": title, "status": status, "detail": detail}
    if errors:
        body["errors"] = list(errors)
    return Response(orjson.dumps(body), status, headers, PROBLEM_TYPE)


def problem_of(error: ConnectorError) -> Response:
    """The reply for an error of ours."""
    status = status_of(error)
    cause = error.reason if isinstance(error, NotOpen) else error
    title = (type(error).__doc__ or "").partition(".")[0].partition(":")[0].partition(";")[0].strip().replace("`", "")
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="search", ApiKey, Bearer'
    if status == 503:
        headers["retry-after"] = str(round(getattr(cause, "retry_after_s", None) or RETRY_S))
    return problem(status, _kebab(type(error).__name__), title, str(error), headers=headers)


def status_of(error: ConnectorError) -> int:
    """The status that stands for an error of ours."""
    if isinstance(error, AccessDenied) and error.status in (401, 403):
        return error.status
    is_callers_fault = isinstance(error, ClusterError) and error.status == 400 and type(error) is ClusterError
    return 400 if is_callers_fault else next(status for kind, status in STATUSES if isinstance(error, kind))


def add_problems(app: FastAPI) -> None:
    """Let the application answer every error of its routes with a problem."""

    @app.exception_handler(ConnectorError)
    async def ours(request: Request, error: ConnectorError) -> Response:
        return problem_of(error)

    @app.exception_handler(ApiRefusal)
    async def refused(request: Request, error: ApiRefusal) -> Response:
        title = WORDS[error.status].partition(";")[0]
        return problem(error.status, error.name, title, str(error), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [WrongKey(pointer=_pointer(part["loc"][1:]), detail=part["msg"]) for part in error.errors()[:20]]
        if any(part["type"] == "json_invalid" for part in error.errors()):
            return problem(400, "no-json", "the body is no JSON", f"the body is no JSON: {_reason(error)}")
        words = "; ".join(f"{part['pointer'] or 'the body'}: {part['detail']}" for part in found[:5])
        return problem(422, "wrong-body", "the body is not what the API takes", words, errors=found)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return no_page(request.url.path)
        detail = str(error.__cause__ or error.detail)
        title = WORDS.get(error.status_code, "the request cannot be answered")
        return problem(error.status_code, "http", title, detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        """The server logs the traceback."""
        return problem(500, "fault", "a fault of the API itself", "try again; its log has the traceback")


def no_page(path: str) -> Response:
    """For a path that the API does not have, as a caller may think that it is the engine."""
    detail = "there are POST /v1/search, POST /v1/events, GET /v1/health, GET /metrics, GET /v1/docs and the page /ui/"
    if re.search(r"/_\w+", path):
        detail = (
            f"this port serves the connector's own API, not the engine's; {detail}. _search is served by connector "
            "gateway in front of a cluster, on gateway.port; the embedded store has none"
        )
    return problem(404, "no-such-page", "there is no such page", detail)


def _pointer(place: Sequence[Any]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def _reason(error: RequestValidationError) -> str:
    found = error.errors()[0]
    return str(found.get("ctx", {}).get("error", found["msg"]))


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
