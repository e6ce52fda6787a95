"""What stands behind the API in these tests: an embedded store with a few documents."""

from __future__ import annotations

import pytest
from support.gateway.gateway_api import fill


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its URL."""
    folder = tmp_path_factory.mktemp("store")
    fill(folder)
    return f"embedded:{folder}"
