"""What tests of ingests share: jobs over an index of the embedded store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.ingest.ingest_jobs import FIELDS, IngestJobs
from support.parts import HashEncoder, schema_of

from connector.clusters.embedded.cluster import EmbeddedCluster


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[IngestJobs]:
    """Runs jobs with a small encoder whose tokens are words."""
    encoder = HashEncoder(dims=4, max_tokens=10)
    cluster = await EmbeddedCluster.open(tmp_path / "store")
    index = await cluster.create_index("docs", schema_of(encoder, **FIELDS))
    yield IngestJobs(index, encoder, tmp_path / "rejects.jsonl")
    await cluster.close()
