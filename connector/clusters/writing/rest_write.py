"""Bulk requests of one index, cut as the engine takes them, and what became of each document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.clusters.clients import Client
from connector.clusters.writing.bulk import read_outcomes, split_chunks
from connector.clusters.writing.no_room import explain_body_limit, explain_too_large, read_no_room
from connector.clusters.writing.write_place import WritePlace
from connector.errors import ClusterError, ClusterUnavailable, IndexBlocked
from connector.types import WriteOutcome


@dataclass(frozen=True, slots=True)
class BulkWriter:
    """Sends actions of a bulk request to one index, whose place was begun."""

    client: Client
    place: WritePlace
    max_chunk_bytes: int
    timeout_s: float

    async def write(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        """The outcome of each, in order. Raises ClusterError where nothing is known of any of a request, and IndexGone
        where the index was deleted or made anew."""
        outcomes: list[WriteOutcome] = []
        for start, end in split_chunks(actions, self.max_chunk_bytes):
            outcomes += await self._send(actions[start:end], doc_ids[start:end])
        return outcomes

    async def _send(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        """What is too large together is sent in smaller requests."""
        try:
            outcomes = await self._ask(actions, doc_ids)
        except ClusterError as error:
            if error.status == 413:
                if len(actions) > 1:
                    return await self._send_halves(actions, doc_ids)
                return [WriteOutcome(doc_ids[0], explain_body_limit(actions[0]))]
            if not is_short_of_room(error):
                raise
            large = len(actions) == 1 and len(actions[0]) > self.max_chunk_bytes
            outcomes = [WriteOutcome(doc_id, str(error), retryable=True, perhaps_never=large) for doc_id in doc_ids]
        too_large = [at for at, outcome in enumerate(outcomes) if is_too_large(outcome)]
        if not too_large:
            return outcomes
        if len(actions) == 1:
            return [WriteOutcome(doc_ids[0], explain_too_large(str(outcomes[0].error)))]
        again = await self._send_halves([actions[at] for at in too_large], [doc_ids[at] for at in too_large])
        for at, outcome in zip(too_large, again, strict=True):
            outcomes[at] = outcome
        return outcomes

    async def _ask(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        await self.place.check()
        try:
            return await self._ask_once(actions, doc_ids)
        except ClusterError as error:
            await self.place.begin_again(error)
        return await self._ask_once(actions, doc_ids)

    async def _ask_once(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        place = self.place
        reply = await self.client.bulk(place.name, actions, params=place.params, timeout_s=self.timeout_s)
        return read_outcomes(reply, doc_ids)

    async def _send_halves(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        middle = len(actions) // 2
        first = await self._send(actions[:middle], doc_ids[:middle]) if middle else []
        return first + await self._send(actions[middle:], doc_ids[middle:])


def is_short_of_room(error: ClusterError) -> bool:
    """Whether a whole request was put off: the same documents may be sent again, and no others.

    Where a proxy says when to come back, that is for whoever waits for the cluster."""
    return (
        isinstance(error, ClusterUnavailable)
        and not isinstance(error, IndexBlocked)
        and error.status == 429
        and not error.retry_after_s
    )


def is_too_large(outcome: WriteOutcome) -> bool:
    """Whether the engine will never take it in a request of that size."""
    return outcome.retryable and read_no_room(outcome.error or "") == "never"
