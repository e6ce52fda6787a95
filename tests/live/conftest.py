"""What tests on real engines share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.indices.somebody import Somebody

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.doctor import checkup
from connector.ingest import job
from connector.models.encoder import Encoder
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


@pytest.fixture
def one_encoder(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of this process take the encoder of the tests."""
    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)


@pytest.fixture
def patient_doctor(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's encoder is that of the tests, and no check ends where the machine stands still for ten seconds."""
    monkeypatch.setattr(checkup, "load_encoder", lambda settings: encoder)
    monkeypatch.setattr(checkup, "CHECK_S", 120.0)
