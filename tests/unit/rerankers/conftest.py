"""A server that answers what a test says, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from support.parts import serving
from support.servers.answering import Answering

from connector.rerankers.worker import WorkerClient


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Answering]]:
    answering = Answering()
    with serving(answering) as url:
        yield url, answering


@pytest.fixture
async def client(served: tuple[str, Answering]) -> AsyncIterator[WorkerClient]:
    worker_client = WorkerClient(served[0] + "/")
    served[1].asked.clear()
    yield worker_client
    await worker_client.close()


@pytest.fixture
def server(served: tuple[str, Answering]) -> Answering:
    return served[1]
