"""Documents of an index that its source no longer has: when they may be removed, and their removal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from connector.clusters.protocol import Index
from connector.ingest.writing import PatientIndex

REMOVE_BATCH = 500


def reason_to_keep(*, read: int, unreadable: int) -> str | None:
    """Why nothing may be removed after so many rows, of so many of which no id is known; None where it may."""
    if unreadable:
        return f"{unreadable} rows had no readable id, so what is missing is not known; nothing was removed"
    if read == 0:
        return "the source is empty; nothing was removed (drop the index if that is meant)"
    return None


async def remove_missing(
    index: Index,
    patient: PatientIndex,
    missing_from: Callable[[Iterable[str]], list[str]],
    on_removed: Callable[[int], None],
) -> None:
    """Remove what the source has not; `missing_from` gives those of some ids. Raises ClusterError."""
    async for doc_ids in _batched((doc_id async for doc_id, _ in index.scan()), REMOVE_BATCH):
        if missing := missing_from(doc_ids):
            outcomes = await patient.remove(missing)
            on_removed(sum(outcome.error is None for outcome in outcomes))
    await index.finish()


async def _batched(items: AsyncIterator[str], size: int) -> AsyncIterator[list[str]]:
    batch = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
