"""Indices that live as long as a test, or a little longer."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator, Sequence

import httpx

from connector.clusters.clients import service_credentials
from connector.clusters.connect import connect
from connector.clusters.tls import tls_context
from connector.errors import IndexMissing
from connector.schema import IndexSchema
from connector.settings.sections import ClusterSettings
from connector.types import IndexedDocument

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
    credentials = service_credentials(settings)
    headers = credentials.header if credentials else {}
    with httpx.Client(verify=tls_context(settings), headers=headers, timeout=60) as client:
        reply = client.delete(f"{settings.url}/{','.join(names)}?ignore_unavailable=true")
    assert reply.is_success, reply.text


@contextlib.contextmanager
def filled_index(settings: ClusterSettings, schema: IndexSchema, documents: Sequence[IndexedDocument]) -> Iterator[str]:
    """The name of a new index that holds the documents, for as long as the block lasts."""
    name = unique_name()
    asyncio.run(_fill(settings, name, schema, documents))
    yield name
    if is_engine(settings):
        drop_later(settings, name)
    else:
        asyncio.run(drop(settings, name))


async def _fill(
    settings: ClusterSettings, name: str, schema: IndexSchema, documents: Sequence[IndexedDocument]
) -> None:
    cluster = await connect(settings)
    index = await cluster.create_index(name, schema)
    await index.write(documents)
    await index.finish()
    await cluster.close()
