"""A kNN search in which the engine hides what is not to be seen only after it was found, so that too few come back.

So OpenSearch does with document-level security and with the filter of an alias (2.19.1: of the nearest k, only those
that may be seen are left)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from connector.errors import AccessDenied, ClusterError
from connector.types import Ranking

MAX_EXACT = 5_000  # documents whose every passage is compared; costs about what a kNN search with k = 1,000 does
DEEPER = (1_000, 10_000)  # 10,000 is the most that OpenSearch takes


async def fill_up(
    hits: Ranking,
    depth: int,
    *,
    count: Callable[[int], Awaitable[int]],
    exact: Callable[[], Awaitable[Ranking]],
    deeper: Callable[[int], Awaitable[Ranking]],
    note: Callable[[str], None],
) -> Ranking:
    """As many as can be had of the `depth` nearest documents that may be seen; `note` is called where some are missing.

    `count(limit)` counts what may be seen, up to a limit. Where that is little, `exact()` compares all of it; else
    `deeper(k)` searches among the k nearest of all documents. Raises AccessDenied."""
    try:
        visible = await count(max(MAX_EXACT, depth) + 1)
        if len(hits) >= visible:
            return hits
        if visible <= MAX_EXACT:
            return await exact()
        for k in DEEPER:
            if k > depth:
                hits = max(hits, await deeper(k), key=len)
            if len(hits) >= depth:
                return hits
        reason = f"it did so with the nearest {DEEPER[-1]:,}"
    except AccessDenied:
        raise
    except ClusterError as error:
        reason = f"no more could be had ({error})"
    note(
        f"{len(hits)} of {depth} documents: the engine hides what these credentials or this alias may not see only "
        f"after the kNN search, and {reason}; give the search a filter that says what may be seen"
    )
    return hits
