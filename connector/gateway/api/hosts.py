"""The API is answered under names of this machine, as the pages are: a page of another site could have its own name
lead here, and read everything that its visitor's machine can reach (DNS rebinding)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.gateway.problems import problem
from connector.judging.page.guard import AllowedHosts

STATUS = 421  # Misdirected Request: this server does not answer for that name
PAGE = "/ui"  # which has a guard of its own, that answers a browser
ADVICE = "call it by the address of this machine, or name this host in gateway.api_hosts"


class CheckHost:
    """An ASGI application that only requests reach whose `Host` is allowed."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(PAGE):
            host = Headers(scope=scope).get("host", "")
            if not self._hosts.allows(host):
                detail = f"this API is not known as {host!r}; {ADVICE}"
                refusal = problem(STATUS, "unknown-host", "the API does not answer under this name", detail)
                return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)
