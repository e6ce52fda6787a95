"""The index that is searched, opened when it is first needed, and tried again while it cannot be."""

from __future__ import annotations

import asyncio
import logging
import time

from connector.client import Connector
from connector.errors import ConnectorError
from connector.gateway.encoder import SharedEncoder
from connector.settings.sections import Settings

AGAIN_S = 2.0  # after a failure, until the next try
log = logging.getLogger(__name__)


class NotOpen(ConnectorError):
    """The index cannot be searched yet, for the `reason`; it is tried again."""

    def __init__(self, reason: ConnectorError) -> None:
        super().__init__(f"the index cannot be searched yet: {reason}")
        self.reason = reason


class LazyConnector:
    """A connector, of the event loop that it is asked for in. The encoder is whose it was."""

    def __init__(self, settings: Settings, encoder: SharedEncoder) -> None:
        self.settings = settings
        self._encoder = encoder
        self._connector: Connector | None = None
        self._failure: ConnectorError | None = None
        self._again_at = 0.0
        self._lock = asyncio.Lock()
        self._others: list[LazyConnector] = []

    def of(self, settings: Settings) -> LazyConnector:
        """With other settings and the same encoder; closed with this one."""
        other = LazyConnector(settings, self._encoder)
        self._others.append(other)
        return other

    async def get(self) -> Connector:
        """The connector. Raises NotOpen where it cannot be opened."""
        async with self._lock:
            if self._connector is None:
                self._connector = await self._open()
            return self._connector

    @property
    def encoder_state(self) -> str:
        """What is known of the encoder without a question to anybody."""
        if self._connector is None:
            return "not loaded"
        return "loaded" if self._connector.searcher.index.schema.vector_field else "not needed"

    async def close(self) -> None:
        for other in self._others:
            await other.close()
        if self._connector:
            await self._connector.close()

    async def _open(self) -> Connector:
        if self._failure and time.monotonic() < self._again_at:
            raise NotOpen(self._failure)
        try:
            connector = await Connector.open(self.settings, encoder=self._encoder.get)
        except ConnectorError as error:
            if str(error) != str(self._failure):  # each is logged once
                log.warning("the API cannot search %s yet: %s", self.settings.index.name, error)
            self._failure, self._again_at = error, time.monotonic() + AGAIN_S
            raise NotOpen(error) from error
        log.info("the API searches %s", self.settings.index.name)
        return connector
