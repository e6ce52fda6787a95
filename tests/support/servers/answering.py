"""A server that says the same to everybody, in a test of what its callers make of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Answering:
    """A server that answers everything with the same bytes, and remembers what it was asked."""

    def __init__(self) -> None:
        self.set(b"")
        self.asked: list[tuple[str, str, Any]] = []

    def set(self, body: Any, *, status: int = 200, headers: dict[str, str] | None = None, pause_s: float = 0.0) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers, self.pause_s = status, headers or {}, pause_s

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        body = message.get("body") or b"null"
        self.asked.append((scope["method"], scope["path"], json.loads(body) if not message.get("more_body") else None))
        await asyncio.sleep(self.pause_s)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
