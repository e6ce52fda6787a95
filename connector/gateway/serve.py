"""The gateway's process: bind, tell where, pass through until told to stop."""

from __future__ import annotations

from connector.errors import SettingsError
from connector.settings.sections import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    raise SettingsError("the gateway is being built")
