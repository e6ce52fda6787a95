"""A real PostgreSQL for the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.postgres import new_database, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of the server."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def writer(database: str) -> Iterator[psycopg.Connection]:
    """An application's connection."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
