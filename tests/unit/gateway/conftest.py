"""What stands behind a gateway in these tests: an engine that notes the bytes that it gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.gateway.gateways import ByteEngine


@pytest.fixture
def engine() -> Iterator[ByteEngine]:
    """One that nobody has asked yet."""
    with ByteEngine().running() as engine:
        yield engine


@pytest.fixture(scope="module")
def lasting_engine() -> Iterator[ByteEngine]:
    """One for all tests of a file."""
    with ByteEngine().running() as engine:
        yield engine
