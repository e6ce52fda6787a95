"""One writer at a time for an index of the embedded store, whichever process or task it is in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import ClusterError, ClusterUnavailable

if TYPE_CHECKING:
    from filelock import AsyncFileLock


class WriteLock:
    """Holds a file of the folder while the index is written to; another writer waits for it, up to `wait_s` seconds.

    The operating system gives the lock back when its process ends, however it ends."""

    def __init__(self, folder: Path, index: str, *, wait_s: float) -> None:
        self._folder, self._wait_s = folder, wait_s
        self._holder = folder / f".{index}.writer"
        self._index = index
        self._turn = asyncio.Lock()  # of this process's tasks, whom the file's lock does not tell apart

    @cached_property
    def _lock(self) -> AsyncFileLock:
        from filelock import AsyncFileLock  # a search need not wait for it

        file = self._folder / f".{self._index}.lock"
        return AsyncFileLock(file, timeout=self._wait_s, thread_local=False, poll_interval=0.02)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Within the block nobody else writes, another task of this process neither. Raises ClusterUnavailable, which
        names the process that does."""
        async with self._turn, self._file_held():
            yield

    @asynccontextmanager
    async def _file_held(self) -> AsyncIterator[None]:
        from filelock import Timeout

        try:
            await self._lock.acquire()
        except Timeout:
            raise ClusterUnavailable(
                f"index {self._index!r} of the embedded store is being written by {self._who()}; run it again when "
                "that has ended"
            ) from None
        except OSError as error:
            raise ClusterError(
                f"cannot write to the embedded store ({error.strerror}: {error.filename}); check the folder's mode"
            ) from error
        try:
            with contextlib.suppress(OSError):  # it only helps whoever waits
                self._holder.write_text(str(os.getpid()), encoding="ascii")
            yield
        finally:
            await self._lock.release()

    def _who(self) -> str:
        try:
            return f"process {int(self._holder.read_text(encoding='ascii'))}"
        except (OSError, ValueError):
            return "another process"
