"""Who may ask: API keys, before anything of a body is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.worker.wire import build_error

PRINCIPAL = "connector.principal"  # in an ASGI scope: who asks, "" where no keys are asked for
PROBES = frozenset({"/health", "/ready", "/metrics"})  # what monitors ask, without a key


class RequireKey:
    """Answers 401 to whoever brings none of the keys as a bearer token. Without keys everybody may ask."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = {hashlib.blake2b(key.encode(), digest_size=16).hexdigest(): key.encode() for key in keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keys and scope["path"] not in PROBES:
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
