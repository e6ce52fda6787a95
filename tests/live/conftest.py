"""What tests on real engines share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.somebody import Somebody

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.settings.sections import ClusterSettings


@pytest.fixture
async def cluster(engine: ClusterSettings) -> AsyncIterator[Cluster]:
    """A connection to each of the four engines."""
    connected = await connect(engine)
    yield connected
    await connected.close()


@pytest.fixture
async def somebody(engine: ClusterSettings) -> AsyncIterator[Somebody]:
    cluster = await connect(engine)
    found = Somebody(engine.url, cluster)
    yield found
    found.leave()
    await cluster.close()
