"""What tests of passing through share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.gateway.gateways import ByteEngine, RunningGateway, running_gateway


@pytest.fixture
def gateway(engine: ByteEngine) -> Iterator[RunningGateway]:
    """In front of that engine."""
    with running_gateway(engine.url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def lasting_gateway(lasting_engine: ByteEngine) -> Iterator[RunningGateway]:
    """In front of the one engine of a file, for all its tests."""
    with running_gateway(lasting_engine.url) as gateway:
        yield gateway
