"""Who may ask, and how much at once: API keys and the limit of a body, before anything of it is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.worker.wire import build_error

PRINCIPAL = "connector.principal"  # in an ASGI scope: who asks, "" where no keys are asked for
OPEN = frozenset({"/health", "/ready", "/metrics"})  # what probes and scrapers ask


class RequireKey:
    """Answers 401 to whoever brings none of the keys as a bearer token. Without keys everybody may ask."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = {hashlib.blake2b(key.encode(), digest_size=16).hexdigest(): key.encode() for key in keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keys and scope["path"] not in OPEN:
            principal = self._principal(dict(scope["headers"]).get(b"authorization", b""))
            if principal is None:
                message = "bring one of the worker's API keys: Authorization: Bearer KEY"
                headers = {"www-authenticate": "Bearer", "connection": "close"}
                reply = JSONResponse(build_error(scope["path"], 401, "validation", message), 401, headers)
                await reply(scope, receive, send)
                return
            scope[PRINCIPAL] = principal
        await self._app(scope, receive, send)

    def _principal(self, header: bytes) -> str | None:
        """Whose key it is. Each key is compared, in constant time, so that a reply's time tells nothing of them."""
        scheme, _, token = header.partition(b" ")
        found = None
        for name, key in self._keys.items():
            if hmac.compare_digest(token.strip(), key) and scheme.lower() == b"bearer":
                found = name
        return found


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
