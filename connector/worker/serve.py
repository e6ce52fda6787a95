"""The worker's process: bind, tell where, serve until told to stop, answer what was accepted."""

from __future__ import annotations

import logging
import signal
import socket
from types import FrameType

import uvicorn

from connector.listening import bind
from connector.models.files import find_model
from connector.models.load import load_scorer
from connector.models.scorer import Scorer
from connector.readiness import ReadyFile
from connector.settings.sections import ModelPlaceSettings, WorkerSettings
from connector.tls import check_certificate
from connector.worker.app import create_app
from connector.worker.drain import Drain
from connector.worker.offered import offer_models

BACKLOG = 128
CLOSING_S = 5  # for callers to take the last bytes of their replies
log = logging.getLogger(__name__)


def serve(settings: WorkerSettings, places: ModelPlaceSettings) -> None:
    """Serve until SIGINT or SIGTERM; models that are not here come from `places`. Logs where it listens; the port may
    have been chosen by the system."""
    check_certificate(settings.tls_cert, settings.tls_key, section="worker")
    listener = bind(settings.host, settings.port, choose="worker.port")
    listener.listen(BACKLOG)
    scheme = "https" if settings.tls_cert else "http"
    ready_file = ReadyFile(settings.ready_file, scheme=scheme, host=settings.host, port=listener.getsockname()[1])
    ready_file.write("loading")
    log.info("worker listening on %s, loading %s", ready_file.url, settings.model)
    drain = Drain()

    def load() -> Scorer:
        find_model(settings.model, places)
        return load_scorer(settings, settings)

    app = create_app(
        load,
        settings,
        offer_models(settings, places),
        drain=drain,
        announce=ready_file.note,
    )
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=CLOSING_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    DrainingServer(config, drain, ready_file, settings.drain_s).run(sockets=[listener])


class DrainingServer(uvicorn.Server):
    """A server that, told to stop, answers what it has accepted before it closes anything."""

    def __init__(self, config: uvicorn.Config, drain: Drain, ready_file: ReadyFile, drain_s: float) -> None:
        super().__init__(config)
        self._drain, self._ready_file, self._drain_s = drain, ready_file, drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain.begin(signal.Signals(sig).name)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ready_file.note("stopping")
        await self._drain.finish(self._drain_s)
        await super().shutdown(sockets)
