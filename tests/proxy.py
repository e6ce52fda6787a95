"""A proxy on loopback before an engine: it counts what passes, and can refuse, stall or break off what a test names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import httpx
from aiohttp import web

Fault = Literal["refuse", "too large", "stall", "reset"]
PASSED_ON = ("content-type", "x-elastic-product")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    body: bytes

    @property
    def is_bulk(self) -> bool:
        return self.path.endswith("/_bulk")

    @property
    def is_search(self) -> bool:
        return self.path.endswith("/_search")


class Proxy:
    """Hands requests to `upstream`, except where `fault` names what shall happen to one. Use with `async with`."""

    def __init__(self, upstream: str, fault: Callable[[Seen], Fault | None] = lambda seen: None) -> None:
        self.fault = fault
        self.seen: list[Seen] = []
        self.url = ""
        self._client = httpx.AsyncClient(base_url=upstream, timeout=60)
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        await self._runner.cleanup()
        await self._client.aclose()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, await request.read())
        self.seen.append(seen)
        match self.fault(seen):
            case "refuse":
                return web.json_response({"error": "too many requests"}, status=429)
            case "too large":
                return web.Response(status=413)
            case "stall":
                await self._ended.wait()
                return web.Response(status=504)
            case "reset":
                assert request.transport
                request.transport.abort()
                return web.Response(status=502)
        headers = {name: value for name, value in request.headers.items() if name.lower() in ("content-type", "accept")}
        reply = await self._client.request(request.method, request.raw_path, content=seen.body, headers=headers)
        kept = {name: reply.headers[name] for name in PASSED_ON if name in reply.headers}
        return web.Response(status=reply.status_code, body=reply.content, headers=kept)
