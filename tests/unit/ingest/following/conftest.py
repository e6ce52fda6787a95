"""Where what is followed is written to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.ingest.following import store_of

from connector.clusters.embedded.index import EmbeddedIndex


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    """An index of the embedded store: a text for each id."""
    async with store_of(tmp_path / "store", text={"text": 1.0}, id="id") as index:
        yield index
