"""Searches over five short documents: their texts and settings, an index that fails, one call for a search."""

from __future__ import annotations

import asyncio
from typing import Any

from support.parts import HashEncoder
from support.runs.patience import PATIENCE_S

from connector.clusters.embedded.index import EmbeddedIndex
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import (
    SearchRequest,
    SearchResponse,
)

TEXTS = {
    "a": "red fish swims",
    "b": "red bird sings",
    "c": "blue fish sleeps",
    "d": "green frog jumps",
    "e": "a red red fish",
}
ENCODER = HashEncoder(dims=64)
PATIENT = {"k": 5, "depth": 20, "deadline_s": PATIENCE_S}  # a search that is to be whole, however busy the machine
PLAIN = Settings.model_validate({"search": PATIENT | {"rerank": {"window": 10}}})


class Broken:
    """The index with a leg, or its fields, that fail or sleep."""

    def __init__(self, index: EmbeddedIndex, **faults: Any) -> None:
        self._index, self._faults = index, faults

    def __getattr__(self, name: str) -> Any:
        if name not in self._faults:
            return getattr(self._index, name)

        async def fail(*args: Any, **options: Any) -> Any:
            fault = self._faults[name]
            if isinstance(fault, Exception):
                raise fault
            await asyncio.sleep(fault)

        return fail


async def search(
    index: Any,
    worker: WorkerClient | None,
    query: str = "red fish",
    *,
    encoder: Any = ENCODER,
    settings: Settings = PLAIN,
    **request: Any,
) -> SearchResponse:
    rerankers = {"local": worker} if worker else {}
    return await Searcher(index, encoder, rerankers, settings).search(SearchRequest(query, **request))


def ids(response: SearchResponse) -> list[str]:
    return [hit.doc_id for hit in response.hits]
