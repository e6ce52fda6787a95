"""A proxy on loopback before an engine: it counts what passes, and can refuse, stall or break off what a test names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import httpx
from aiohttp import web

Fault = Literal["refuse", "wait", "unavailable", "too large", "stall", "reset", "half", "garbage"]
OF_THE_HOP = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "content-encoding"}
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_bulk(self) -> bool:
        return self.path.endswith("/_bulk")

    @property
    def is_search(self) -> bool:
        return self.path.endswith("/_search")


class Proxy:
    """Hands requests to `upstream`, except where `fault` names what shall happen to one. Use with `async with`."""

    def __init__(
        self,
        upstream: str,
        fault: Callable[[Seen], Fault | None] = lambda seen: None,
        *,
        ca_cert: str | None = None,
        host: str = "127.0.0.1",
        prefix: str = "",
    ) -> None:
        """`prefix` is where the engine is under this server: "/search"."""
        self.fault = fault
        self.seen: list[Seen] = []
        self.url = ""
        self._host, self._prefix = host, prefix
        # without a CA to trust it would read all public ones, which takes 20 ms
        trust = ssl.create_default_context(cafile=ca_cert) if ca_cert else False
        self._client = httpx.AsyncClient(base_url=upstream, timeout=60, verify=trust)
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}{self._prefix}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        await self._runner.cleanup()
        await self._client.aclose()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path, await request.read(), headers)
        self.seen.append(seen)
        fault = self.fault(seen)
        match fault:
            case "refuse":
                return web.json_response({"error": "too many requests"}, status=429)
            case "wait":
                return web.json_response({"error": "too many requests"}, status=429, headers={"Retry-After": "2"})
            case "unavailable":
                return web.json_response({"error": "no master"}, status=503)
            case "garbage":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case "too large":
                return web.Response(status=413)
            case "stall":
                await self._ended.wait()
                return web.Response(status=504)
            case "reset":
                assert request.transport
                request.transport.abort()
                return web.Response(status=502)
        if not request.raw_path.startswith(self._prefix):
            return web.Response(status=404)
        path = request.raw_path.removeprefix(self._prefix)
        passed = {name: value for name, value in headers.items() if name not in OF_THE_HOP}
        try:
            reply = await self._client.request(request.method, path, content=seen.body, headers=passed)
        except httpx.TransportError:
            return web.Response(status=502)
        kept = {name: value for name, value in reply.headers.items() if name not in OF_THE_HOP}
        if fault == "half":  # the engine has done the work; the caller never learns all of what came of it
            half = web.StreamResponse(
                status=reply.status_code, headers=kept | {"content-length": str(len(reply.content))}
            )
            await half.prepare(request)
            await half.write(reply.content[: len(reply.content) // 2])
            assert request.transport
            request.transport.abort()
            return half
        return web.Response(status=reply.status_code, body=reply.content, headers=kept)
