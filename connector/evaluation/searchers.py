"""Settings -> searchers for an evaluation: what several of them have in common is opened once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from connector.clusters.by_encoder import by_encoder
from connector.clusters.protocol import Cluster, Index
from connector.errors import ConnectorError, SourceError
from connector.evaluation.files.datasets import Collection
from connector.models.encoder import Encoder
from connector.rerankers.protocol import Reranker
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import SearchRequest
from connector.wiring import build_searcher, load_encoder, open_cluster, open_index, open_rerankers

T = TypeVar("T")
LOOKED_UP = 300  # judged documents that are looked for in an index
PAGE = 100
TIMEOUT_S = 60.0
WARM_UP = "a first search, which is not measured"


@dataclass(frozen=True, slots=True)
class Opened:
    """A searcher with what it searches."""

    searcher: Searcher
    settings: Settings
    cluster: Cluster
    index: Index
    rerankers: Mapping[str, Reranker]

    async def describe(self) -> dict[str, Any]:
        """What the searches run on."""
        described: dict[str, Any] = {
            "engine": str(self.cluster.engine),
            "index": self.index.name,
            "documents": await self.cluster.count(self.index.name),
            "encoder": str(self.index.schema.encoder or self.settings.encoder.model),
        }
        if self.rerankers:
            described["rerankers"] = {name: await _describe(reranker) for name, reranker in self.rerankers.items()}
        return described

    def reranker(self) -> Reranker:
        """What the first stage reranks with."""
        return self.rerankers[str(self.settings.first_stage.reranker)]

    async def share_found(self, collection: Collection) -> float:
        """Which share of the relevant documents (a sample of them) the index holds. Raises SourceError where it holds
        none."""
        relevant = {doc_id for grades in collection.qrels.values() for doc_id, grade in grades.items() if grade > 0}
        sample = random.Random(0).sample(sorted(relevant), min(LOOKED_UP, len(relevant)))
        found = 0
        for start in range(0, len(sample), PAGE):
            page = sample[start : start + PAGE]
            found += len(await self.index.get(page, fields=None, timeout_s=TIMEOUT_S))
        if sample and not found:
            raise SourceError(
                f"index {self.index.name!r} holds none of the documents that {collection.name} has judgments for "
                f"(looked for {len(sample)}); ingest them first: connector ingest FOLDER --index {self.index.name} "
                f"--cluster {self.settings.cluster.url}"
            )
        return found / len(sample) if sample else 1.0

    async def warm_up(self, *, rerank: bool) -> list[str]:
        """One search, so that no measured one waits for connections and threads; what was missing. Raises what it
        raises."""
        response = await self.searcher.search(SearchRequest(WARM_UP, rerank=rerank))
        return [f"{missing.stage}: {missing.reason}" for missing in response.degraded]


@asynccontextmanager
async def open_searchers(
    settings: Sequence[Settings], *, reuse_scores: bool = False
) -> AsyncIterator[tuple[Opened, ...]]:
    """A searcher for each of the settings; clusters, indexes and encoders that are the same are opened once.

    Workers compute every score anew, unless `reuse_scores` lets them give those that they remember: of other pipelines,
    and of earlier evaluations. Raises ClusterError, ModelError, EncoderMismatch or SettingsError."""
    async with AsyncExitStack() as stack:
        opener = _Opener(stack, reuse_scores)
        yield tuple([await opener.open(variant) for variant in settings])


async def _describe(reranker: Reranker) -> str:
    try:
        info = await reranker.info(timeout_s=TIMEOUT_S)
    except ConnectorError as error:
        return str(error)
    return info.fingerprint or f"{info.kind} {info.model}".strip()


class _Opener:
    """Opens what is not open yet; all of it is closed with the stack."""

    def __init__(self, stack: AsyncExitStack, reuse_scores: bool) -> None:
        self._stack = stack
        self._reuse_scores = reuse_scores
        self._opened: list[tuple[Any, Any]] = []  # settings are not hashable

    async def open(self, settings: Settings) -> Opened:
        cluster = await self._once(("cluster", settings.cluster), lambda: self._open_cluster(settings))
        names = (settings.index.name, settings.index.text_fields, settings.index.vector_field)
        index = await self._once(("index", settings.cluster, names), lambda: open_index(cluster, settings))
        encoder = await self._load_encoder(settings) if index.schema.vector_field else None
        index = by_encoder(index, encoder.fingerprint) if encoder else index
        rerankers = open_rerankers(settings, fresh=not self._reuse_scores)
        for reranker in rerankers.values():
            self._stack.push_async_callback(reranker.close)
        return Opened(build_searcher(index, encoder, rerankers, settings), settings, cluster, index, rerankers)

    async def _open_cluster(self, settings: Settings) -> Cluster:
        cluster = await open_cluster(settings)
        self._stack.push_async_callback(cluster.close)
        return cluster

    async def _load_encoder(self, settings: Settings) -> Encoder:
        return await self._once(("encoder", settings.encoder), lambda: asyncio.to_thread(load_encoder, settings))

    async def _once(self, key: Any, make: Callable[[], Awaitable[T]]) -> T:
        for known, part in self._opened:
            if known == key:
                made: T = part
                return made
        made = await make()
        self._opened.append((key, made))
        return made
