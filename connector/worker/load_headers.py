"""Replies say how busy the worker is, so that its callers ask for no more than it gets done in time."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.models.model import Model
from connector.worker.request_queue import RequestQueue
from connector.worker.wire import build_load_headers

PATHS = frozenset({"/rerank", "/v1/rerank", "/v2/rerank", "/score", "/v1/score", "/info"})
ASKED = "connector.asked"  # in a request's scope, which inner parts may copy: what it turns out to ask for


@dataclass(slots=True)
class _RequestedModel:
    model: Model | None = None


def note_model(scope: MutableMapping[str, Any], model: Model) -> None:
    """The reply is to say how fast this one is."""
    if ASKED in scope:
        scope[ASKED].model = model


class SayLoad:
    """Adds the queue, and the speed of the model that was asked for, to every reply of the paths that score,
    refusals too."""

    def __init__(self, app: ASGIApp, queue: RequestQueue) -> None:
        self._app, self._queue = app, queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return

        requested = scope[ASKED] = _RequestedModel()

        async def with_load(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(build_load_headers(self._queue.load(requested.model)))
            await send(message)

        await self._app(scope, receive, with_load)
