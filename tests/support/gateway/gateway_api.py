"""The API of the gateway in this process, over an embedded store that has a few documents."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from support.parts import HashEncoder, schema_of, serving, wait_until

from connector.client import Connector
from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.gateway.api.app import create_api
from connector.gateway.encoder import SharedEncoder
from connector.gateway.outcomes import Outcomes
from connector.settings.sections import Settings
from connector.types import Document, IndexedDocument, Passage

ENCODER = HashEncoder(dims=16)
TEXTS = {"a": "red fish", "b": "blue bird", "c": "red bird", "d": "a green fish"}


def fill(folder: Path, name: str = "docs") -> None:
    """An index of TEXTS in an embedded store."""
    rows = [(doc_id, {"text": text, "number": at}) for at, (doc_id, text) in enumerate(TEXTS.items())]
    fill_with(folder, rows, name, text={"text": 1.0}, metadata={"number": "integer"})


def fill_with(folder: Path, rows: Sequence[tuple[str, dict[str, Any]]], name: str = "docs", **fields: Any) -> None:
    """An index of documents, each of one passage: its field `text`."""

    async def write() -> None:
        cluster = await EmbeddedCluster.open(folder)
        index = await cluster.create_index(name, schema_of(ENCODER, **fields))
        documents = [
            IndexedDocument(
                Document(doc_id, values), "h", (Passage(doc_id, 0, values["text"]),), ENCODER.encode([values["text"]])
            )
            for doc_id, values in rows
        ]
        await index.write(documents)
        await index.finish()
        await cluster.close()

    asyncio.run(write())


def hashing(settings: Settings) -> SharedEncoder:
    """An encoder that needs no model."""
    return SharedEncoder(settings, lambda _: ENCODER)


async def open_with_hashes(settings: Settings) -> Connector:
    """What `Connector.open` opens, with that encoder."""
    return await Connector.open(settings, encoder=hashing(settings).get)


def api_settings(cluster_url: str, *, worker: str = "", **sections: Any) -> Settings:
    """Of an API over the index `docs`; nothing is reranked without a worker."""
    search = {"deadline_s": 120} | ({} if worker else {"rerank": "off"}) | sections.pop("search", {})
    return Settings.model_validate(
        {
            "cluster": {"url": cluster_url},
            "index": {"name": "docs"},
            "search": search,
            "rerankers": {"local": {"url": worker or "http://127.0.0.1:9"}},
        }
        | sections
    )


@contextlib.contextmanager
def running_api(settings: Settings, outcomes: Outcomes | None = None) -> Iterator[httpx.Client]:
    """A caller of the API."""
    with serving(create_api(settings, hashing(settings), outcomes=outcomes)) as url:
        with httpx.Client(base_url=url, timeout=180) as client:
            wait_until(lambda: client.get("/v1/health/live").status_code == 200)
            yield client
