"""Indices that live as long as a test, or a little longer, what is written into them, and the engine itself beside the
connector."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpx

from connector.clusters.clients import service_credentials
from connector.clusters.connect import connect
from connector.clusters.tls import tls_context
from connector.errors import IndexMissing
from connector.ingest.passages import cut
from connector.models.encoder import Encoder
from connector.schema import Fields, IndexSchema
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Document, IndexedDocument
from connector.wiring import build_schema

NDJSON = {"content-type": "application/x-ndjson"}
# an engine takes as long to drop one index as to drop many
AT_ONCE = 16
_left: dict[str, tuple[ClusterSettings, list[str]]] = {}


def unique_name() -> str:
    """A name that no index has."""
    return f"test-{uuid.uuid4().hex[:16]}"


async def drop(settings: ClusterSettings, *names: str) -> None:
    """Drop those of the indices that exist: of an engine by a request of httpx, which needs no client of the engine's
    own."""
    if is_engine(settings):
        await asyncio.to_thread(_drop_now, settings, names)
        return
    cluster = await connect(settings)
    try:
        for name in names:
            with contextlib.suppress(IndexMissing):
                await cluster.drop_index(name)
    finally:
        await cluster.close()


def drop_later(settings: ClusterSettings, *names: str) -> None:
    """Drop indices of an engine, whose names no test uses again, together with others that tests leave."""
    _, left = _left.setdefault(settings.url, (settings, []))
    left += names
    if len(left) >= AT_ONCE:
        _drop_now(*_left.pop(settings.url))


def drop_left() -> None:
    """Drop what is left at the end of a run: not of an engine that has ended too."""
    while _left:
        with contextlib.suppress(httpx.TransportError):
            _drop_now(*_left.popitem()[1])


def is_engine(settings: ClusterSettings) -> bool:
    return settings.url.startswith("http")


def _drop_now(settings: ClusterSettings, names: Sequence[str]) -> None:
    with engine_client(settings) as engine:
        reply = engine.delete(f"/{','.join(names)}", params={"ignore_unavailable": "true"})
    assert reply.is_success, reply.text


def engine_client(settings: ClusterSettings) -> httpx.Client:
    """The engine itself, asked by whom the settings name."""
    credentials = service_credentials(settings)
    headers = credentials.header if credentials else {}
    return httpx.Client(base_url=settings.url, verify=tls_context(settings), headers=headers, timeout=60)


def ask_engine(settings: ClusterSettings, name: str, body: dict[str, Any]) -> Any:
    """The engine's own reply to a `_search` of an index, or of a list of them; it has no security."""
    return httpx.post(f"{settings.url}/{name}/_search", json=body).raise_for_status().json()


def send_bulk(client: httpx.Client, path: str, lines: Iterable[Any]) -> None:
    """Actions and documents as an application sends them, of which the engine refuses none."""
    content = "".join(json.dumps(line) + "\n" for line in lines)
    reply = client.post(path, content=content, headers=NDJSON)
    assert not reply.raise_for_status().json()["errors"], reply.text


@contextlib.contextmanager
def filled_index(settings: ClusterSettings, schema: IndexSchema, documents: Sequence[IndexedDocument]) -> Iterator[str]:
    """The name of a new index that holds the documents, for as long as the block lasts."""
    name = unique_name()
    asyncio.run(_write(settings, name, schema, documents))
    yield name
    if is_engine(settings):
        drop_later(settings, name)
    else:
        asyncio.run(drop(settings, name))


async def write_documents(
    settings: ClusterSettings, name: str, documents: Sequence[Document], fields: Fields, encoder: Encoder
) -> None:
    """A new index of that name with the documents, as an ingest writes them."""
    schema = build_schema(Settings(), fields, encoder.fingerprint)
    await _write(settings, name, schema, index_documents(documents, schema, encoder))


def index_documents(
    documents: Sequence[Document], schema: IndexSchema, encoder: Encoder, *, max_tokens: int = 64
) -> list[IndexedDocument]:
    """The documents, each with its passages and their vectors."""
    cuts = cut(documents, schema, max_tokens=max_tokens, token_offsets=encoder.token_offsets)
    vectors = iter(encoder.encode([passage.text for passages in cuts for passage in passages]))
    return [
        IndexedDocument(document, "hash", passages, [next(vectors) for _ in passages])
        for document, passages in zip(documents, cuts, strict=True)
    ]


async def _write(
    settings: ClusterSettings, name: str, schema: IndexSchema, documents: Sequence[IndexedDocument]
) -> None:
    cluster = await connect(settings)
    try:
        index = await cluster.create_index(name, schema)
        assert [outcome for outcome in await index.write(documents) if outcome.error is not None] == []
        await index.finish()
    finally:
        await cluster.close()
