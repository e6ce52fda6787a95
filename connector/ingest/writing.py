"""An index that is asked again where that can help: what is taken later, and what answers later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
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
        """Outcomes of all documents, after as many tries as may help those that can be tried again."""
        outcomes: dict[str, WriteOutcome] = {}
        pending = list(documents)
        for pause_s in pauses(self._settings.backoff_s, self._settings.max_attempts):
            for outcome in await self.retrying(partial(self._index.write, pending)):
                outcomes[outcome.doc_id] = outcome
            pending = [document for document in pending if outcomes[document.document.doc_id].retryable]
            if not pending or pause_s is None:
                break
            reason = outcomes[pending[0].document.doc_id].error
            log.warning("%d documents were not taken (%s); trying again in %.1f s", len(pending), reason, pause_s)
            self._on_retry(len(pending))
            await asyncio.sleep(pause_s)
        return [outcomes[document.document.doc_id] for document in documents]

    async def retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, tried again while the cluster is unavailable; raises its last ClusterUnavailable."""

        def tell(error: Exception, wait_s: float) -> None:
            log.warning("%s; trying again in %.1f s", error, wait_s)
            self._on_retry(1)

        settings = self._settings
        return await Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s, on_retry=tell).run(call)
