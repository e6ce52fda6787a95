"""The worker's process: bind, tell where, serve until told to stop."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from connector.config import WorkerSettings
from connector.errors import SettingsError
from connector.wiring import load_scorer
from connector.worker.app import create_app


def serve(settings: WorkerSettings) -> None:
    """Serve until SIGINT or SIGTERM. Says on stderr where it listens; the port may have been chosen by the system."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    listener = bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    print(f"worker listening on http://{host}:{port}, loading {settings.model}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        create_app(lambda: load_scorer(settings), settings), log_level="warning", timeout_graceful_shutdown=10
    )
    uvicorn.Server(config).run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises SettingsError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port} ({error.strerror}); choose another worker.port") from error
    listener.listen(128)
    return listener
