"""How many documents become _bulk requests: cut by bytes and by count, halved where the cluster finds them too
large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from support.indices.scratch import drop, unique_name
from support.servers.proxy import Proxy, Seen

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.contract.synthetic import make_document, make_documents, schema, unit_vectors
from connector.settings.sections import ClusterSettings
from connector.types import IndexedDocument

VECTOR = unit_vectors(np.random.default_rng(3), 1)


@asynccontextmanager
async def through(proxy: Proxy, engine: ClusterSettings, *, max_chunk_bytes: int = 8_000_000) -> AsyncIterator[Cluster]:
    """A cluster behind the proxy."""
    cluster = await connect(engine.model_copy(update={"url": proxy.url, "max_chunk_bytes": max_chunk_bytes}))
    try:
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture
async def name(engine: ClusterSettings) -> AsyncIterator[str]:
    name = unique_name()
    yield name
    await drop(engine, name)


def actions(seen: Seen) -> int:
    return len(seen.body.splitlines()) // 2


def tiny(count: int) -> list[IndexedDocument]:
    return [make_document(str(at), ["text"], VECTOR) for at in range(count)]


async def test_a_chunk_stays_below_its_bytes(engine: ClusterSettings, name: str) -> None:
    limit = 10_000
    large = make_document("large", ["word " * 8_000], VECTOR)
    documents = [*make_documents(60), large, *make_documents(90)[60:]]
    async with Proxy(engine.url) as proxy, through(proxy, engine, max_chunk_bytes=limit) as cluster:
        index = await cluster.create_index(name, schema())
        outcomes = await index.write(documents)
        await index.finish()
        counted = await cluster.count(name)
        bulks = [seen for seen in proxy.seen if seen.is_bulk]

    assert [(outcome.doc_id, outcome.error) for outcome in outcomes] == [
        (indexed.document.doc_id, None) for indexed in documents
    ]
    assert counted == len(documents)
    assert sum(map(actions, bulks)) == len(documents)
    assert len(bulks) > 4
    assert all(len(seen.body) <= limit for seen in bulks if actions(seen) > 1)
    assert [actions(seen) for seen in bulks if len(seen.body) > limit] == [1]  # what fits nowhere travels alone


async def test_a_chunk_holds_500_documents_at_most(engine: ClusterSettings, name: str) -> None:
    async with Proxy(engine.url) as proxy, through(proxy, engine) as cluster:
        index = await cluster.create_index(name, schema())
        outcomes = await index.write(tiny(1_100))
        removed = await index.remove([str(at) for at in range(600)])
        await index.finish()
        counted = await cluster.count(name)
        bulks = [len(seen.body.splitlines()) for seen in proxy.seen if seen.is_bulk]

    assert [outcome.doc_id for outcome in outcomes] == [str(at) for at in range(1_100)]
    assert not [outcome for outcome in [*outcomes, *removed] if outcome.error]
    assert bulks == [1_000, 1_000, 200, 500, 100]
    assert counted == 500


async def test_a_chunk_that_is_too_large_is_halved_until_it_fits(engine: ClusterSettings, name: str) -> None:
    documents = [*tiny(40), make_document("huge", ["word " * 4_000], VECTOR), *make_documents(40)]
    async with Proxy(engine.url) as proxy, through(proxy, engine) as cluster:
        proxy.fault = lambda seen: "too large" if seen.is_bulk and len(seen.body) > 9_000 else None
        index = await cluster.create_index(name, schema())
        outcomes = await index.write(documents)
        await index.finish()
        counted = await cluster.count(name)

    failed = {outcome.doc_id: outcome for outcome in outcomes if outcome.error}
    assert [outcome.doc_id for outcome in outcomes] == [indexed.document.doc_id for indexed in documents]
    assert list(failed) == ["huge"]
    assert "http.max_content_length" in (failed["huge"].error or "")
    assert not failed["huge"].retryable
    assert counted == len(documents) - 1


async def test_a_document_that_is_refused_leaves_the_others_written(engine: ClusterSettings, name: str) -> None:
    bad = make_document("bad", ["text"], VECTOR, surprise="a field that the mapping lacks")
    wrong = replace(make_document("wrong", ["text"], VECTOR), vectors=VECTOR[:, :3])
    async with Proxy(engine.url) as proxy, through(proxy, engine) as cluster:
        index = await cluster.create_index(name, schema())
        outcomes = {
            outcome.doc_id: outcome for outcome in await index.write([*tiny(3), bad, wrong, *make_documents(3)])
        }
        await index.finish()
        counted = await cluster.count(name)

    assert [doc_id for doc_id, outcome in outcomes.items() if outcome.error] == ["bad", "wrong"]
    assert "surprise" in (outcomes["bad"].error or "")
    assert "dimension" in (outcomes["wrong"].error or "").lower()
    assert not any(outcome.retryable for outcome in outcomes.values())
    assert counted == 6
