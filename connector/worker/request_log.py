"""One line in the log for each request, and the id by which a request is found there and at its caller's."""

from __future__ import annotations

import logging
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.headers import REQUEST_ID
from connector.worker.access import PROBES

AccessLog = Literal["all", "requests", "errors", "off"]
FACTS = "connector.facts"  # in an ASGI scope: the RequestFacts
USABLE_ID = re.compile(r"[0-9A-Za-z._:/+=@-]{1,128}")
NO_REPLY = 499  # as nginx counts a caller that closed the connection
log = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestFacts:
    """What the log says of a request, as it comes to be known: nothing of its query and its texts."""

    id: str
    model: str | None = None
    pairs: int | None = None
    queue_ms: float | None = None  # until its first batch
    model_ms: float | None = None  # the batches that it was part of


def facts_of(scope: Scope) -> RequestFacts:
    """The facts of a request, which a scope without LogRequests before it has none of yet."""
    facts: RequestFacts = scope.setdefault(FACTS, RequestFacts(""))
    return facts


def request_id(header: bytes | None) -> str:
    """The caller's own id where it is one (1 to 128 letters, digits and ._:/+=@-), else a new one."""
    given = (header or b"").decode("latin-1")
    return given if USABLE_ID.fullmatch(given) else uuid.uuid4().hex


class LogRequests:
    """Gives each request its id, which goes back with the reply, and logs a line when it was answered."""

    def __init__(self, app: ASGIApp, level: AccessLog, paths: frozenset[str]) -> None:
        """`paths` are those that the worker has; others are logged as `other`, as a path can hold anything."""
        self._app, self._level, self._paths = app, level, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        facts = RequestFacts(request_id(dict(scope["headers"]).get(REQUEST_ID.encode())))
        scope[FACTS] = facts
        began, status = time.perf_counter(), NO_REPLY

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = (REQUEST_ID.encode(), facts.id.encode())
                message = {**message, "headers": [*message.get("headers", []), named]}
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            if self._is_logged(scope, status):
                self._log(scope, status, facts, (time.perf_counter() - began) * 1000)

    def _is_logged(self, scope: Scope, status: int) -> bool:
        match self._level:
            case "all":
                return True
            case "requests":
                is_probe = scope["path"] in PROBES or scope["method"] == "HEAD"  # which brings headers alone
                return not is_probe or status >= 400
            case "errors":
                return status >= 400
            case "off":
                return False

    def _log(self, scope: Scope, status: int, facts: RequestFacts, total_ms: float) -> None:
        route = scope["path"] if scope["path"] in self._paths else "other"
        given: dict[str, Any] = {
            "request_id": facts.id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "total_ms": _rounded(total_ms),
            "model": facts.model,
            "pairs": facts.pairs,
            "queue_ms": _rounded(facts.queue_ms),
            "model_ms": _rounded(facts.model_ms),
        }
        known = {name: value for name, value in given.items() if value is not None}
        log.info(" ".join(f"{name}={value}" for name, value in known.items()), extra=known)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
