"""The page's process: listen, tell where, serve until told to stop, and leave the judgments behind."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

CLOSING_S = 3  # for browsers to take the last bytes


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve on the socket until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=CLOSING_S,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
    )
    uvicorn.Server(config).run(sockets=[listener])


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds the page."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"
