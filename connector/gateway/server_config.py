"""What the gateway's server and that of its API are told alike."""

from __future__ import annotations

from typing import Any

import uvicorn

from connector.settings.gateway import GatewaySettings

BACKLOG = 2_048


def server_config(app: Any, gateway: GatewaySettings, **more: Any) -> uvicorn.Config:
    """Uvicorn's settings for the app: logs are ours, and no web sockets. `more` is what one of the two has alone."""
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(gateway.drain_s)),
        backlog=BACKLOG,
        ssl_certfile=gateway.tls_cert,
        ssl_keyfile=gateway.tls_key,
        **more,
    )
