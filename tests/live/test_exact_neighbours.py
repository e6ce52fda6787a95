"""The nearest documents by comparing all vectors, which a search falls back on where OpenSearch hides what it found;
and words
counted for a caller. Here on the engines without security, where both can be held against all documents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.indices.schemas import MADE
from support.indices.scratch import drop, engine_client, unique_name

from connector.clusters.connect import connect
from connector.clusters.dialect import build_filter
from connector.clusters.protocol import Cluster, ForeignFields
from connector.clusters.rest import RestIndex
from connector.credentials import Credentials
from connector.filters import Range
from connector.lexical import LexicalQuery
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.sections import ClusterSettings
from connector.types import Document, IndexedDocument, Passage, Vector, Vectors

pytestmark = pytest.mark.live
DIMS, COUNT = 8, 60
NUMBERS = np.random.default_rng(5)
FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata={"number": "integer"})
SCHEMA = IndexSchema(FIELDS, EncoderFingerprint("synthetic", "0" * 64, DIMS, 64), **MADE, dims=DIMS)
CALLER = Credentials.bearer("nobody-asks-for-it")


def unit_vectors(count: int) -> Vectors:
    made = NUMBERS.standard_normal((count, DIMS)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


VECTORS = [unit_vectors(1 + at % 3) for at in range(COUNT)]
WORDS = ("red", "Größe", "don't", "日本")
TEXTS = ["the " + " ".join(word for place, word in enumerate(WORDS) if at % (place + 2) == 0) for at in range(COUNT)]


@pytest.fixture(scope="module")
def name(engine: ClusterSettings) -> Iterator[str]:
    """One of our indices, and beside it ("-flat") one that somebody else made."""
    made = unique_name()
    asyncio.run(fill(engine, made))
    yield made
    asyncio.run(drop(engine, made, f"{made}-flat"))


async def fill(engine: ClusterSettings, name: str) -> None:
    cluster = await connect(engine)
    index = await cluster.create_index(name, SCHEMA)
    documents = [
        IndexedDocument(
            Document(f"d{at}", {"title": f"title {at}", "text": TEXTS[at], "number": at}),
            "hash",
            tuple(Passage(f"d{at}", ordinal, f"passage {ordinal}") for ordinal in range(len(own))),
            own,
        )
        for at, own in enumerate(VECTORS)
    ]
    assert all(outcome.error is None for outcome in await index.write(documents))
    await index.finish()
    await cluster.close()
    if cluster.engine.kind == "opensearch":
        await asyncio.to_thread(fill_flat, engine, f"{name}-flat")


def fill_flat(engine: ClusterSettings, name: str) -> None:
    method = {"name": "hnsw", "engine": "lucene", "space_type": "l2"}
    properties = {
        "text": {"type": "text"},
        "number": {"type": "integer"},
        "vector": {"type": "knn_vector", "dimension": DIMS, "method": method},
    }
    body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": properties}}
    with engine_client(engine) as client:
        client.put(f"/{name}", json=body).raise_for_status()
        for at, own in enumerate(VECTORS):
            row = {"text": TEXTS[at], "number": at, "vector": own[0].tolist()}
            client.put(f"/{name}/_doc/d{at}", json=row).raise_for_status()
        client.post(f"/{name}/_refresh").raise_for_status()


async def exact(index: RestIndex, vector: Vector, depth: int, *, below: int) -> list[tuple[str, float, int]]:
    """(doc_id, score, passages) of the nearest documents whose number is below that."""
    filter_query = build_filter(Range("number", {"lt": below}))
    body = index._dialect.exact_body(index.schema, vector, depth, filter_query, 2)
    assert body is not None
    hits = await index._search(body, depth, 30)
    return [(hit.doc_id, index._dialect.cosine(hit.score, index.schema), len(hit.passages)) for hit in hits]


async def test_all_vectors_are_compared(cluster: Cluster, name: str) -> None:
    (vector,) = unit_vectors(1)
    index: Any = await cluster.open_index(name)
    if cluster.engine.kind == "elasticsearch":
        assert index._dialect.exact_body(index.schema, vector, 5, None, 1) is None
        return
    flat: Any = await cluster.open_index(f"{name}-flat", ForeignFields({"text": 1.0}, "vector"))
    by_cosine = sorted(((float((own @ vector).max()), at) for at, own in enumerate(VECTORS[:40])), reverse=True)[:7]
    by_distance = sorted((float(((own[0] - vector) ** 2).sum()), at) for at, own in enumerate(VECTORS[:40]))[:7]

    found, found_flat = await exact(index, vector, 7, below=40), await exact(flat, vector, 7, below=40)

    assert [neighbour[0] for neighbour in found] == [f"d{at}" for _, at in by_cosine]
    assert [neighbour[1] for neighbour in found] == pytest.approx([cosine for cosine, _ in by_cosine], abs=1e-5)
    assert [neighbour[2] for neighbour in found] == [min(2, len(VECTORS[at])) for _, at in by_cosine]
    assert [neighbour[0] for neighbour in found_flat] == [f"d{at}" for _, at in by_distance]
    assert [neighbour[1] for neighbour in found_flat] == pytest.approx(
        [1 / (1 + far) for far, _ in by_distance], abs=1e-5
    )


async def test_a_caller_is_given_what_the_service_is_where_nothing_is_hidden(cluster: Cluster, name: str) -> None:
    notes: list[str] = []
    (vector,) = unit_vectors(1)
    index = await cluster.open_index(name)
    caller = index.as_caller(CALLER)
    for depth in (5, COUNT, 2 * COUNT):
        asked: dict[str, Any] = {"depth": depth, "filter": Range("number", {"gte": 3}), "timeout_s": 30.0}

        assert await caller.dense(vector, note=notes.append, **asked) == await index.dense(vector, **asked)
        assert await caller.lexical(LexicalQuery("red"), **asked) == await index.lexical(LexicalQuery("red"), **asked)
    assert await caller.get(["d1"], fields=None, timeout_s=30) == await index.get(["d1"], fields=None, timeout_s=30)
    assert notes == []


async def test_words_are_counted_for_a_caller_as_the_engine_counts_them(cluster: Cluster, name: str) -> None:
    query = "The RED 🙂 größe, don't: red nowhere 日本"
    index = await cluster.open_index(name)
    found = await index.as_caller(CALLER).term_statistics(query, timeout_s=30)
    empty = await index.as_caller(CALLER).term_statistics("🙂 ?!", timeout_s=30)
    counted = [(query[term.start : term.end], term.frequency) for term in found.terms]
    expected = {word.lower(): sum(word in text for text in TEXTS) for word in WORDS}

    assert found.documents == COUNT
    assert counted == [
        (word, expected.get(word.lower(), 0)) for word in ("RED", "größe", "don't", "red", "nowhere", "日本")
    ]
    assert empty.terms == ()
