"""Bodies: those of requests are not longer than is allowed, and read by a parser that takes no half characters and no
NaN; those of replies are JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.gateway.problems import WORDS, problem


class JsonRoute(APIRoute):
    """A route whose body is read by orjson."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def read_and_handle(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return read_and_handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())


class LimitBody:
    """Reads a body whole before the routes do, and refuses one that is too long."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = await self._read(dict(scope["headers"]).get(b"content-length", b""), receive)
        if body is None:
            # the rest is not read, so the connection cannot be used again
            refusal = problem(413, "too-long", WORDS[413], f"send at most {self._max_bytes} bytes", headers=_CLOSE)
            return await refusal(scope, receive, send)
        is_given = False

        async def replay() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self._app(scope, replay, send)

    async def _read(self, announced: bytes, receive: Receive) -> bytes | None:
        """The body; None where it is too long."""
        if announced.isdigit() and int(announced) > self._max_bytes:
            return None
        read = bytearray()
        while True:
            message = await receive()
            read += message.get("body", b"")
            if len(read) > self._max_bytes:
                return None
            if not message.get("more_body", False):
                return bytes(read)


def json_reply(content: bytes, status: int = HTTPStatus.OK) -> Response:
    """A reply of JSON that is written already."""
    return Response(content, status, media_type="application/json")


_CLOSE = {"connection": "close"}
