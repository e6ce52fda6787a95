"""The worker's process: bind, tell where, serve until told to stop."""

from __future__ import annotations

import logging
import socket

import uvicorn

from connector.errors import SettingsError
from connector.models.load import load_scorer
from connector.settings.sections import WorkerSettings
from connector.tls import check_certificate
from connector.worker.app import create_app
from connector.worker.offers import offer_models

log = logging.getLogger(__name__)


def serve(settings: WorkerSettings) -> None:
    """Serve until SIGINT or SIGTERM. Logs where it listens; the port may have been chosen by the system."""
    check_certificate(settings.tls_cert, settings.tls_key)
    listener = bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    log.info("worker listening on %s://%s:%d, loading %s", scheme, host, port, settings.model)
    config = uvicorn.Config(
        create_app(lambda: load_scorer(settings, settings), settings, offer_models(settings)),
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=10,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    uvicorn.Server(config).run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises SettingsError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named; else each reply on an open connection takes 40 ms more
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port} ({error.strerror}); choose another worker.port") from error
    listener.listen(128)
    return listener
