"""What an engine refuses because of the caller's own words is the caller's to know, and no part that failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from connector.errors import ClusterError, QueryError

T = TypeVar("T")
BAD_REQUEST = 400


async def as_asked(part: str, work: Callable[[], Awaitable[T]]) -> T:
    """The work's result. Raises QueryError with the engine's reason where it refuses what the caller worded."""
    try:
        return await work()
    except ClusterError as error:
        if error.status == BAD_REQUEST:
            raise QueryError(f"the engine does not take this {part}: {error}") from error
        raise
