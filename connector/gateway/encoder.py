"""The encoder that the gateway's searches and the API beside it share: a model is loaded once in a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connector.event_loop import in_own_thread
from connector.models.encoder import Encoder
from connector.settings.sections import Settings
from connector.wiring import load_encoder


class SharedEncoder:
    """Loaded when it is first asked for. It belongs to the event loop that it is asked for in, and to whoever made
    it."""

    def __init__(self, settings: Settings, load: Callable[[Settings], Encoder] | None = None) -> None:
        self._settings, self._load = settings, load or load_encoder
        self._encoder: Encoder | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Encoder:
        """The encoder. Raises ModelError where it cannot be loaded; the next call tries again."""
        async with self._lock:
            if self._encoder is None:
                # a thread that nothing waits for: whoever interrupts the loading is not kept by it
                self._encoder = await in_own_thread(self._load, self._settings)
            return self._encoder

    def close(self) -> None:
        """End its connections, where it is asked over HTTP."""
        if close := getattr(self._encoder, "close", None):
            close()
