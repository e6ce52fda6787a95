"""The embedded store with five short documents, and a real worker on the loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from support.parts import OverlapScorer, schema_of, serving, wait_until
from support.searches import ENCODER, TEXTS

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import WorkerSettings
from connector.types import (
    Document,
    IndexedDocument,
    Passage,
)
from connector.worker.app import create_app


@pytest.fixture(scope="module")
def worker_url() -> Iterator[str]:
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield url


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's folder, of which each test gets a copy."""
    folder = tmp_path_factory.mktemp("searched")
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: Path) -> None:
    cluster = await EmbeddedCluster.open(folder)
    made = await cluster.create_index("docs", schema_of(ENCODER, text={"text": 1.0}, metadata={"kind": "keyword"}))
    await made.write(
        [
            IndexedDocument(
                Document(doc_id, {"text": text, "kind": text.split()[1]}),
                "h",
                (Passage(doc_id, 0, text),),
                ENCODER.encode([text]),
            )
            for doc_id, text in TEXTS.items()
        ]
    )
    await made.finish()
    await cluster.close()


@pytest.fixture
async def index(filled: Path, tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    cluster = await EmbeddedCluster.open(shutil.copytree(filled, tmp_path / "store"))
    yield await cluster.open_index("docs")
    await cluster.close()


@pytest.fixture
async def worker(worker_url: str) -> AsyncIterator[WorkerClient]:
    client = WorkerClient(worker_url)
    yield client
    await client.close()
