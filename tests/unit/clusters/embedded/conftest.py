"""What tests of the embedded store share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for the tests of a file."""
    with asyncio.Runner() as opened:
        yield opened
