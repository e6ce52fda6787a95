"""The gateway's processes: bind, tell where, pass through until told to stop, answer what was accepted."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import uvicorn

from connector.clusters.tls import tls_context
from connector.errors import SettingsError
from connector.gateway.api.serve import GatewayServer, api_config, build_api_server
from connector.gateway.app import Gateway
from connector.gateway.encoder import SharedEncoder
from connector.gateway.exchange import Interceptor
from connector.gateway.freed_memory import give_back_regularly
from connector.gateway.outcomes import Outcomes
from connector.gateway.passing.caller_connection import CallerConnection
from connector.gateway.passing.nodes import Nodes
from connector.gateway.passing.upstream import UpstreamEngine
from connector.gateway.processes import share
from connector.gateway.server_config import BACKLOG, server_config
from connector.gateway.spans import SearchSpans
from connector.listening import bind
from connector.logs import configure_logging
from connector.settings.sections import Settings
from connector.tls import check_certificate

OpenInterceptor = Callable[[Settings, SharedEncoder], Awaitable[Interceptor | None]]
log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError. The port may have been chosen by the system; the log says
    it."""
    gateway = settings.gateway
    check_certificate(gateway.tls_cert, gateway.tls_key, section="gateway")
    if is_api_alone(settings):
        serve_api_alone(settings)
        return
    upstream_tls(settings)
    is_shared = gateway.processes > 1
    listener = bind(gateway.host, gateway.port, choose="gateway.port", is_shared=is_shared)
    api = None
    if gateway.api_port is not None:
        api = bind(gateway.host, gateway.api_port, choose="gateway.api_port", is_shared=is_shared)
    if not is_shared:
        serve_here(settings, listener, api)
        return
    with listener, api or nullcontext():  # they only keep the ports; who listens are the processes
        ports = [sock.getsockname()[1] if sock else None for sock in (listener, api)]
        share(serve_shared, settings, *ports, count=gateway.processes)


def is_api_alone(settings: Settings) -> bool:
    """Whether there is no cluster to stand in front of: the embedded store has no HTTP API that could be passed on."""
    return not settings.gateway.upstream and settings.cluster.url.startswith("embedded:")


def serve_api_alone(settings: Settings) -> None:
    """Serve the API on `gateway.api_port`, or where that is not given on `gateway.port`."""
    gateway = settings.gateway
    port = gateway.port if gateway.api_port is None else gateway.api_port
    listener = bind(gateway.host, port, choose="gateway.port")
    listener.listen(BACKLOG)
    if gateway.processes > 1:
        log.warning("one process serves the embedded store, not the %d of gateway.processes", gateway.processes)
    log.info(
        "API listening on %s, page at /ui/, over the index %s of the embedded store; _search is served in front of "
        "a cluster only",
        address(settings, listener),
        settings.index.name,
    )
    build_api_server(settings).run(sockets=[listener])


def address(settings: Settings, listener: socket.socket) -> str:
    """The URL of a socket that is bound."""
    gateway = settings.gateway
    return f"{'https' if gateway.tls_cert else 'http'}://{gateway.host}:{listener.getsockname()[1]}"


def say_where(settings: Settings, listener: socket.socket, api: socket.socket | None) -> None:
    """Log what listens by now, in each of several processes: who reads it can connect."""
    log.info("gateway listening on %s, in front of %s", address(settings, listener), ", ".join(node_urls(settings)))
    if api:
        log.info("API listening on %s, page at /ui/, over the index %s", address(settings, api), settings.index.name)


def node_urls(settings: Settings) -> tuple[str, ...]:
    """The addresses of the cluster's nodes. Raises SettingsError where there are none."""
    urls = settings.gateway.upstream or (settings.cluster.url,)
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise SettingsError(
            f"the gateway stands in front of a cluster, and cluster.url is {urls[0]!r}; "
            "give --cluster http(s)://HOST:PORT of Elasticsearch or OpenSearch"
        )
    return urls


def upstream_tls(settings: Settings) -> ssl.SSLContext:
    """What the connections to the nodes trust. Raises SettingsError for a file that is no PEM."""
    urls = node_urls(settings)
    spoken_to = next((url for url in urls if url.startswith("https:")), urls[0])
    return tls_context(settings.cluster.model_copy(update={"url": spoken_to}))


def serve_shared(settings: Settings, port: int, api_port: int | None) -> None:
    """Serve in one of several processes."""
    configure_logging(settings.log)
    listener = bind(settings.gateway.host, port, choose="gateway.port", is_shared=True)
    api = None if api_port is None else bind(settings.gateway.host, api_port, choose="gateway.api_port", is_shared=True)
    serve_here(settings, listener, api)


def serve_here(settings: Settings, listener: socket.socket, api: socket.socket | None = None) -> None:
    """Serve in this process, on sockets that are bound."""
    build_server(settings, api=api).run(sockets=[listener])


async def open_interceptor(settings: Settings, encoder: SharedEncoder) -> Interceptor | None:
    """What answers searches; None where all pass through. The encoder is whose it was."""
    if not settings.gateway.indexes:
        return None
    from connector.gateway.answering.interceptor import SearchInterceptor

    return await SearchInterceptor.open(settings, encoder)


def build_server(
    settings: Settings, open_interceptor: OpenInterceptor = open_interceptor, api: socket.socket | None = None
) -> uvicorn.Server:
    """Uvicorn's server part, with connections of ours, and with the API beside it where there is a socket for it."""
    gateway, outcomes, encoder = settings.gateway, Outcomes(), SharedEncoder(settings)
    app = _Lifespan(settings, lambda: open_interceptor(settings, encoder), outcomes, SearchSpans(gateway.otlp_url))
    connection = functools.partial(CallerConnection, max_header_bytes=gateway.max_header_bytes)
    config = server_config(app, gateway, http=connection)
    beside = (api_config(settings, encoder, outcomes), api) if api else None
    return GatewayServer(config, beside, at_start=lambda own: say_where(settings, own, api), at_end=encoder.close)


class _Lifespan:
    """Opens the gateway when the server starts, in its event loop, and closes it at the end."""

    def __init__(
        self,
        settings: Settings,
        open_interceptor: Callable[[], Awaitable[Interceptor | None]],
        outcomes: Outcomes,
        spans: SearchSpans,
    ) -> None:
        self._settings, self._open_interceptor, self._outcomes = settings, open_interceptor, outcomes
        self._spans = spans
        self._gateway: Gateway | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._gateway is not None:
            await self._gateway(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        settings = self._settings
        nodes = Nodes(node_urls(settings), upstream_tls(settings), connect_timeout_s=settings.gateway.connect_timeout_s)
        engine = UpstreamEngine(nodes, preserve_host=settings.gateway.preserve_host)
        interceptor = await self._open_interceptor()
        self._gateway = Gateway(settings.gateway, engine, interceptor, self._outcomes, self._spans)
        giving_back = asyncio.create_task(give_back_regularly())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        giving_back.cancel()
        if interceptor is not None:
            await interceptor.close()
        engine.close()
        await self._spans.close()
        await send({"type": "lifespan.shutdown.complete"})
