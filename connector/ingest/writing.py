"""An index that is asked again where that can help: what is taken later, and what answers later."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from connector.clusters.protocol import Index
from connector.errors import ClusterUnavailable
from connector.ingest.groups import DocumentGroup
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings
from connector.types import IndexedDocument, WriteOutcome

T = TypeVar("T")
log = logging.getLogger(__name__)
GET_TIMEOUT_S = 60.0
BUSY_PAUSE_S = 5.0


class PatientIndex:
    """An index as a job writes to it. `on_retry` hears how many documents, or requests, are tried again."""

    def __init__(self, index: Index, settings: IngestSettings, on_retry: Callable[[int], None]) -> None:
        self._index = index
        self._settings = settings
        self._on_retry = on_retry

    async def changed(self, group: DocumentGroup) -> DocumentGroup:
        """The documents of a group that the index has not, or has with another content."""
        doc_ids = [document.doc_id for document in group.documents]
        known = await self.retrying(partial(self._index.get, doc_ids, fields=["content_hash"], timeout_s=GET_TIMEOUT_S))
        return group.select(
            [
                at
                for at, (document, hashed) in enumerate(zip(group.documents, group.hashes, strict=True))
                if known.get(document.doc_id, {}).get("content_hash") != hashed
            ]
        )

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        """Outcomes of all documents, after as many tries as may help those that were put off. Raises ClusterUnavailable
        where the cluster puts off all that it is sent for `ingest.busy_s`."""
        by_id = {document.document.doc_id: document for document in documents}

        async def send(doc_ids: Sequence[str]) -> list[WriteOutcome]:
            return await self._index.write([by_id[doc_id] for doc_id in doc_ids])

        return await self._until_taken(list(by_id), send)

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        """The same for documents that are removed."""
        return await self._until_taken(doc_ids, self._index.remove)

    async def _until_taken(
        self, doc_ids: Sequence[str], send: Callable[[Sequence[str]], Awaitable[list[WriteOutcome]]]
    ) -> list[WriteOutcome]:
        outcomes: dict[str, WriteOutcome] = {}
        pending, waits, tries, since = list(doc_ids), self._waits(), 0, time.monotonic()
        while pending:
            for outcome in await self.retrying(partial(send, pending)):
                outcomes[outcome.doc_id] = outcome
            before, tries = len(pending), tries + 1
            pending = [doc_id for doc_id in pending if outcomes[doc_id].retryable]
            if len(pending) < before:
                waits, tries, since = self._waits(), 1, time.monotonic()
            if tries >= self._settings.max_attempts:
                pending = [doc_id for doc_id in pending if not outcomes[doc_id].perhaps_never]
                busy_s = time.monotonic() - since
                if pending and busy_s >= self._settings.busy_s:
                    reason = outcomes[pending[0]].error
                    raise ClusterUnavailable(
                        f"the cluster has taken no document for {busy_s:.0f} s (ingest.busy_s): {reason}"
                    )
            if pending:
                pause_s, reason = next(waits), outcomes[pending[0]].error
                log.warning("%d documents were not taken (%s); trying again in %.1f s", len(pending), reason, pause_s)
                self._on_retry(len(pending))
                await asyncio.sleep(pause_s)
        return [outcomes[doc_id] for doc_id in doc_ids]

    def _waits(self) -> Iterator[float]:
        """Seconds to wait while the cluster has no room: soon no more than a few, so that it is noticed when it has."""
        for pause_s in pauses(self._settings.backoff_s, sys.maxsize):
            yield min(pause_s or 0.0, BUSY_PAUSE_S)

    async def retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, tried again while the cluster is unavailable; raises its last ClusterUnavailable."""

        def tell(error: Exception, wait_s: float) -> None:
            log.warning("%s; trying again in %.1f s", error, wait_s)
            self._on_retry(1)

        settings = self._settings
        return await Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s, on_retry=tell).run(call)
