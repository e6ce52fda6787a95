"""Who may speak to the page: only what was opened from it, under a name that is this machine's.

A page on another site could send forms here by the browser of somebody who judges (cross-site request forgery), or
have its own name lead here and read everything (DNS rebinding). Browsers say in `Origin` and `Host` where a request
comes from and whom it means; what is foreign is refused. What the page may load and run is its own alone."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ADVICE = "Open it by the address that connector judge page printed, or name this host: --also-known-as NAME"
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer browsers would hide the origin of our own forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names under which the page may be opened."""

    names: frozenset[str] = LOOPBACK
    any_address: bool = field(default=False)  # numbers cannot be made to lead elsewhere, as names can

    def allows(self, host: str) -> bool:
        """Whether a `Host` header names this machine, whatever the port: it may come through a tunnel."""
        name = _name_of(host)
        return name in self.names or (self.any_address and _is_address(name))


def allowed_hosts(listen_host: str, others: Iterable[str] = ()) -> AllowedHosts:
    """Of a page that listens there. One that other machines reach can be opened by its address and the machine's name
    too."""
    names = LOOPBACK | {listen_host.lower()} | {name.lower() for name in others}
    if listen_host in LOOPBACK:
        return AllowedHosts(names)
    machine = socket.gethostname().lower()
    return AllowedHosts(names | {machine, f"{machine}.local"}, any_address=True)


class Guard:
    """An ASGI application that only requests reach which are meant for it; every reply has the headers above."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, *, advice: str = ADVICE) -> None:
        """`advice`: what to do for somebody who came under a name that is not allowed."""
        self._app, self._hosts, self._advice = app, hosts, advice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if reason := self._refusal(scope["method"], Headers(scope=scope)):
            await PlainTextResponse(f"{reason}\n", status_code=403)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not self._hosts.allows(host):
            return f"This page is not known as {host!r}. {self._advice}"
        if method not in ("GET", "HEAD") and urlsplit(headers.get("origin", "")).netloc.lower() != host.lower():
            return "Grades are taken only from this page itself. Open it in a browser, and judge there."
        return None


def _name_of(host: str) -> str:
    """Of `[::1]:8650` the ::1, of `LocalHost:8650` the localhost."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
