"""Indices that live as long as a test."""

from __future__ import annotations

import contextlib
import uuid

from connector.clusters.connect import connect
from connector.errors import IndexMissing
from connector.settings.sections import ClusterSettings


def unique_name() -> str:
    """A name that no index has."""
    return f"test-{uuid.uuid4().hex[:16]}"


async def drop(settings: ClusterSettings, *names: str) -> None:
    """Drop those of the indices that exist."""
    cluster = await connect(settings)
    try:
        for name in names:
            with contextlib.suppress(IndexMissing):
                await cluster.drop_index(name)
    finally:
        await cluster.close()
