"""What the tests of a cluster have in common: the store, an index of documents in it, an event loop for each test."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, Index
from connector.contract.synthetic import cosines, make_documents, schema, unit_vectors
from connector.errors import IndexMissing
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalQuery
from connector.settings.sections import ClusterSettings
from connector.types import IndexedDocument, Ranking, Vector

TIMEOUT_S = 30.0
ALL = 1_000  # a depth beyond the corpus
DOCUMENTS = make_documents()
NUMBERS = np.random.default_rng(11)
QUERY_VECTORS = unit_vectors(NUMBERS, 8)
NEAR = 1e-4  # what single precision and the engines' own scale may move a cosine
GIVEN = ("cluster", "index_name", "index")  # what a test may ask for, made in its own event loop


class StoreContract:
    """The tests take their store from the fixture `store`, and connect to it by `connect`."""

    async def connect(self, store: ClusterSettings) -> Cluster:
        """A connection to the store."""
        return await connect(store)

    def exact_vectors(self, store: ClusterSettings) -> str:
        """What `index.vectors.index` is to be, for vectors to be searched exactly or nearly so."""
        return "auto"

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls, store: ClusterSettings) -> Iterator[str]:
        """The name of an index of the synthetic documents, made once for each store; tests only read it."""
        name, contract = unique_name(), cls()
        asyncio.run(contract.fill(store, name, contract.exact_vectors(store)))
        yield name
        asyncio.run(contract.drop(store, name))

    async def fill(self, store: ClusterSettings, name: str, vectors: str) -> None:
        """Make an index of the synthetic documents."""
        cluster = await self.connect(store)
        try:
            await write(await cluster.create_index(name, schema(vectors=vectors)), *DOCUMENTS)
        finally:
            await cluster.close()

    async def drop(self, store: ClusterSettings, name: str) -> None:
        """Drop an index, if it is there."""
        cluster = await self.connect(store)
        try:
            with contextlib.suppress(IndexMissing):
                await cluster.drop_index(name)
        finally:
            await cluster.close()


def on_store(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test with a cluster, the name of an index that goes with the test, or the filled index, as it asks for."""
    signature = inspect.signature(test)
    wanted = [name for name in GIVEN if name in signature.parameters]

    async def run(contract: StoreContract, store: ClusterSettings, filled: str | None, given: dict[str, Any]) -> None:
        cluster, name = await contract.connect(store), unique_name()
        try:
            made = {"cluster": cluster, "index_name": name}
            if filled is not None:
                made["index"] = await cluster.open_index(filled)
            await test(contract, **{key: made[key] for key in wanted}, **given)
        finally:
            if "index_name" in wanted:
                with contextlib.suppress(IndexMissing):
                    await cluster.drop_index(name)
            await cluster.close()

    @functools.wraps(test)
    def in_loop(self: StoreContract, store: ClusterSettings, filled: str | None = None, **given: Any) -> None:
        if "store" in signature.parameters:
            given["store"] = store
        asyncio.run(run(self, store, filled, given))

    asked = ["self", "store", *(("filled",) if "index" in wanted else ())]
    asked += [name for name in signature.parameters if name not in (*GIVEN, *asked)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    asked_for = inspect.Signature([inspect.Parameter(name, kind) for name in asked])
    in_loop.__signature__ = asked_for  # type: ignore[attr-defined]
    return in_loop


def unique_name() -> str:
    """A name that no index has."""
    return f"test-{uuid.uuid4().hex[:16]}"


def ids(ranking: Ranking) -> list[str]:
    return [hit.doc_id for hit in ranking]


def scores(ranking: Ranking) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in ranking]


async def lexical(index: Index, query: str, *, depth: int = ALL, found: Any = None) -> Ranking:
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    return (await index.lexical(LexicalQuery(query), depth=depth, filter=checked, timeout_s=TIMEOUT_S)).ranking


async def dense(index: Index, vector: Vector, *, depth: int = ALL, found: Any = None, passages: int = 1) -> Ranking:
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    return await index.dense(vector, depth=depth, filter=checked, timeout_s=TIMEOUT_S, passages=passages)


async def write(index: Index, *documents: IndexedDocument) -> None:
    outcomes = await index.write(documents)
    await index.finish()

    assert [outcome.doc_id for outcome in outcomes] == [indexed.document.doc_id for indexed in documents]
    assert all(outcome.error is None for outcome in outcomes), outcomes


def assert_exact(hits: Ranking, vector: Vector, *, depth: int, passages: int = 1) -> None:
    """The ranking, the scores and each hit's passages are those of exact cosines; equal ones may change places."""
    expected = cosines(DOCUMENTS, vector)
    best = {doc_id: pairs[0][0] for doc_id, pairs in expected.items()}
    ranked = sorted(best.values(), reverse=True)[:depth]

    assert len(set(ids(hits))) == len(hits) == len(ranked)
    for hit, score in zip(hits, ranked, strict=True):
        assert best[hit.doc_id] == pytest.approx(score, abs=NEAR / 10)
        assert hit.score == pytest.approx(score, abs=NEAR)
        nearest = [ordinal for _, ordinal in expected[hit.doc_id][:passages]]
        assert [passage.ordinal for passage in hit.passages] == nearest
        assert [passage.passage_id for passage in hit.passages] == [f"{hit.doc_id}#{at}" for at in nearest]
    assert list(hits) == sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))
