"""What the operating system says of changes in a folder. It only tells where to look: a look there decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from connector.extras import needs

log = logging.getLogger(__name__)
GATHER_MS = 200  # changes that come within it are told together
STEP_MS = 50


class Watch:
    """Paths at which something changed, gathered until they are taken."""

    def __init__(self, folder: Path, *, recursive: bool) -> None:
        self._folder = folder
        self._recursive = recursive
        self._paths: set[Path] = set()
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self.failure: str | None = None

    async def begin(self) -> None:
        """From here on changes are gathered. Where the system takes no watch, `failure` says why."""
        self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0)  # the task's first step sets the watch

    async def wait(self, timeout_s: float) -> set[Path]:
        """The paths of changes since the last call; it waits for the first so long, and gives none after that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        paths, self._paths = self._paths, set()
        self._changed.clear()
        return paths

    async def close(self) -> None:
        self._stop.set()
        if self._watching:
            await self._watching

    async def _watch(self) -> None:
        with needs("follow", "following files"):
            from watchfiles import awatch
        try:
            async for changes in awatch(
                self._folder,
                watch_filter=None,
                debounce=GATHER_MS,
                step=STEP_MS,
                stop_event=self._stop,
                recursive=self._recursive,
                ignore_permission_denied=True,
            ):
                self._paths |= {Path(path) for _, path in changes}
                self._changed.set()
        except (OSError, RuntimeError) as error:  # watchfiles' own is a RuntimeError
            self.failure = str(error)
            log.debug("watchfiles ended", exc_info=True)
            log.warning("the system tells of no changes in %s (%s); it is looked through instead", self._folder, error)
