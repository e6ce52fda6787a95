"""A source that is followed into an index while a test changes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.parts import HashEncoder, schema_of

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.clusters.protocol import Index
from connector.errors import ClusterUnavailable
from connector.ingest.following.account import FollowReport
from connector.ingest.following.follower import Follower
from connector.ingest.following.source import FollowedSource
from connector.settings.follow import FollowSettings
from connector.settings.sections import IngestSettings

LIMIT_S = 120
QUICK = FollowSettings(quiet_s=0.05)
SETTINGS = IngestSettings(backoff_s=0.001, grace_s=LIMIT_S)  # what is written when the test ends is counted too
IMPATIENT = SETTINGS.model_copy(update={"grace_s": 0.5})  # where what is under way at the end never comes to its own


@asynccontextmanager
async def store_of(folder: Path, **fields: Any) -> AsyncIterator[EmbeddedIndex]:
    """An empty index of the embedded store."""
    cluster = await EmbeddedCluster.open(folder)
    yield await cluster.create_index("docs", schema_of(HashEncoder(dims=4, max_tokens=10), **fields))
    await cluster.close()


class FailingIndex:
    """An index behind a cluster that does not answer the second write; for good: nor any that comes after it. `failed`
    is set at the second."""

    def __init__(self, index: Index, *, for_good: bool = True) -> None:
        self._index, self._for_good = index, for_good
        self._writes = 0
        self.failed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def write(self, documents: Any) -> Any:
        self._writes += 1
        if self._writes == 2 or (self._for_good and self._writes > 2):
            self.failed.set()
            raise ClusterUnavailable("no answer")
        return await self._index.write(documents)


class Following:
    """A follower under way."""

    def __init__(self, follower: Follower, index: Index, stop: asyncio.Future[str]) -> None:
        self.follower, self.index, self._stop = follower, index, stop
        self._task = asyncio.create_task(follower.run())

    async def texts(self) -> dict[str, str]:
        """The text of each document that is in the index."""
        doc_ids = [doc_id async for doc_id, _ in self.index.scan()]
        found = await self.index.get(doc_ids, fields=["text"], timeout_s=LIMIT_S)
        return {doc_id: fields["text"] for doc_id, fields in found.items()}

    async def until(self, is_so: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The texts, once they are so."""
        end = time.monotonic() + LIMIT_S
        while not is_so(texts := await self.texts()):
            assert not self._task.done(), self._task.result()
            assert time.monotonic() < end, texts
            await asyncio.sleep(0.02)
        return texts

    async def ended(self) -> FollowReport:
        """Once it has ended by itself."""
        async with asyncio.timeout(LIMIT_S):
            return await self._task

    async def end(self) -> FollowReport:
        if not self._stop.done():
            self._stop.set_result("the test ended")
        return await self._task


@asynccontextmanager
async def following(
    followed: FollowedSource, index: Index, rejects: Path, *, encoder: Any = None, **options: Any
) -> AsyncIterator[Following]:
    """Followed within the block."""
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    settings = options.pop("settings", SETTINGS)
    encoder = encoder or HashEncoder(dims=4, max_tokens=10)
    await followed.begin()
    follower = Follower(followed, index, encoder, settings, rejects=rejects, stop=stop, **options)
    running = Following(follower, index, stop)
    try:
        yield running
    finally:
        await running.end()
        await followed.close()
