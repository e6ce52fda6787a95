"""An application that writes to the database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture
def writer(database: str) -> Iterator[psycopg.Connection]:
    """Its connection."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
