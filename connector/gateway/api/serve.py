"""The API's server part: on its own, or beside the gateway in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

import uvicorn

from connector.gateway.api.app import create_api
from connector.gateway.encoder import SharedEncoder
from connector.gateway.outcomes import Outcomes
from connector.gateway.server_config import BACKLOG, server_config
from connector.settings.sections import Settings

log = logging.getLogger(__name__)


def build_api_server(settings: Settings) -> uvicorn.Server:
    """A server of the API."""
    return uvicorn.Server(api_config(settings))


def api_config(
    settings: Settings, encoder: SharedEncoder | None = None, outcomes: Outcomes | None = None
) -> uvicorn.Config:
    """What the server is told; `encoder` and `outcomes` are those of the gateway beside it."""
    return server_config(create_api(settings, encoder, outcomes=outcomes), settings.gateway, server_header=False)


class GatewayServer(uvicorn.Server):
    """A server in whose event loop the API is served too where it is given, from its start to its end."""

    def __init__(
        self,
        config: uvicorn.Config,
        api: tuple[uvicorn.Config, socket.socket] | None,
        *,
        at_start: Callable[[socket.socket], None],
        at_end: Callable[[], None],
    ) -> None:
        """`api` is the API's with its socket. `at_start` is called with each socket of the gateway that listens;
        `at_end` closes what both use."""
        super().__init__(config)
        self._api = _Beside(api[0]) if api else None
        self._api_sockets = [api[1]] if api else []
        self._at_start, self._at_end = at_start, at_end
        self._serving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self._api_sockets:  # who asks the API before it is there waits, and is not refused
            listener.listen(BACKLOG)
        await super().startup(sockets)
        for listener in sockets or ():
            self._at_start(listener)
        if self._api:
            self._serving = asyncio.create_task(self._api.serve(self._api_sockets))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._api:
            self._api.should_exit = True
        await super().shutdown(sockets)
        if self._serving:
            await self._serving
        self._at_end()


class _Beside(uvicorn.Server):
    """A server that another one tells when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
