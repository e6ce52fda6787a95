"""Vectors that other people made: several fields of them, in nested objects with texts, of bits; and ids by routing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.indices.somebody import TEXT, Somebody
from support.parts import ids

from connector.clusters.protocol import Index
from connector.doctor.checkup import open_cluster_checks
from connector.doctor.samples import compare_vectors
from connector.errors import SettingsError
from connector.layout import Address
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, Vector
from connector.wiring import build_searcher, open_index

pytestmark = pytest.mark.live
TIMEOUT_S = 30.0
NEAR = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)


async def nearest(index: Index, vector: Vector = NEAR, **options: Any) -> list[tuple[str, float, list[str]]]:
    """(doc_id, score, texts) of what the dense leg finds."""
    hits = await index.dense(vector, depth=5, filter=None, timeout_s=TIMEOUT_S, **options)
    return [(hit.doc_id, round(hit.score, 2), [passage.text for passage in hit.passages]) for hit in hits]


async def test_the_text_beside_the_nearest_vector_is_the_passage(somebody: Somebody) -> None:
    chunk = {"vec": somebody.vector(), "text": {"type": "text", "fields": {"en": TEXT}}, "page": {"type": "integer"}}
    properties = {"title": TEXT, "chunks": {"type": "nested", "properties": chunk}}
    documents = [
        {"title": "kiln", "chunks": [{"vec": [1, 0, 0, 0], "text": "far"}, {"vec": [1, 1, 1, 1], "text": "near"}]},
        {"title": "clay", "chunks": [{"vec": [1, 1, 0, 0], "page": 3}]},
    ]
    name = somebody.make({"properties": properties}, *documents, settings=somebody.knn)
    index = await somebody.open(name, "title", vector="chunks.vec")
    content = await index.content(["d0", "d1"], query="kiln", vector=NEAR, timeout_s=TIMEOUT_S)

    assert await nearest(index) == [("d0", 1.0, ["near"]), ("d1", pytest.approx(0.71, abs=0.02), ["clay"])]
    assert (await nearest(index, passages=2))[0] == ("d0", 1.0, ["near", "far"])
    assert [document.nearest and document.nearest.text for document in content.values()] == ["near", "clay"]
    assert [document.matching and document.matching.text for document in content.values()] == ["kiln", "clay"]


async def test_each_of_several_vector_fields_can_be_searched(somebody: Somebody) -> None:
    pages = {"type": "nested", "properties": {"vec": somebody.vector(), "text": TEXT}}
    properties = {"title": TEXT, "vec": somebody.vector(), "other": somebody.vector(), "pages": pages}
    documents = [
        {"title": "x", "vec": [1, 1, 1, 1], "other": [1, 0, 0, 0], "pages": [{"vec": [1, 1, 1, 1], "text": "page"}]},
        {"title": "y", "vec": [1, 0, 0, 0], "other": [1, 1, 1, 1]},
    ]
    name = somebody.make({"properties": properties}, *documents, settings=somebody.knn)
    index = await somebody.open(name, "title", vector="vec")

    assert [doc_id for doc_id, *_ in await nearest(index)] == ["d0", "d1"]
    assert [doc_id for doc_id, *_ in await nearest(index, field="other")] == ["d1", "d0"]
    assert await nearest(index, field="pages.vec") == [("d0", 1.0, ["page"])]
    assert index.schema.searched_by("other").dims == 4
    with pytest.raises(SettingsError, match=r"no vector field 'title'; it has: other, pages\.vec, vec"):
        await nearest(index, field="title")


async def test_two_vector_fields_are_two_legs(somebody: Somebody, engine: ClusterSettings, encoder: Encoder) -> None:
    dims = encoder.fingerprint.dims
    vectors = encoder.encode(["a kiln that cools", "wet clay"]).tolist()
    properties = {"text": TEXT, "vec": somebody.vector(dims), "other": somebody.vector(dims), "tiny": somebody.vector()}
    documents = [{"text": "x", "vec": vectors[at], "other": vectors[1 - at]} for at in range(2)]
    name = somebody.make({"properties": properties}, *documents, settings=somebody.knn)

    def settings(legs: dict[str, Any]) -> Settings:
        given = {"cluster.url": engine.url, "index.name": name, "index.text_fields": {"text": 1.0}, "search.legs": legs}
        return load_settings(environ={}, overrides=given | {"search.deadline_s": 120.0})

    both = settings({"first": {"kind": "dense", "field": "vec"}, "second": {"kind": "dense", "field": "other"}})
    index = await open_index(somebody.cluster, both)
    response = await build_searcher(index, encoder, {}, both).search(SearchRequest("wet clay"))

    assert response.degraded == ()
    assert ids(response.rankings["first"]) == ["d1", "d0"]
    assert ids(response.rankings["second"]) == ["d0", "d1"]
    for field, words in (("tiny", "'tiny' of index .* holds vectors of 4 dimensions"), ("no", "no vector field 'no'")):
        wrong = settings({"dense": {}, "second": {"kind": "dense", "field": field}})
        with pytest.raises(SettingsError, match=words):
            build_searcher(index, encoder, {}, wrong)


async def test_vectors_of_bits_are_compared_by_the_signs_of_the_query(somebody: Somebody) -> None:
    query = np.linspace(-1, 1, 16, dtype=np.float32)  # of which the first half is negative
    opposite = [-1, 0]
    documents = [{"text": "x", "vec": bits} for bits in ([0, -1], [1, -1], opposite)]
    mapping = {"properties": {"text": TEXT, "vec": somebody.bits(16)}}
    index = await somebody.open(somebody.make(mapping, *documents, settings=somebody.knn), "text", vector="vec")

    assert [neighbour[:2] for neighbour in await nearest(index, query)] == [("d0", 1.0), ("d1", 0.88), ("d2", -1.0)]


async def test_the_doctor_compares_bits_with_the_signs_of_the_encoders_vectors(
    somebody: Somebody, encoder: Encoder
) -> None:
    texts = ["the kiln cools", "clay dries in the sun"]
    packed = np.packbits(encoder.encode(texts) > 0, axis=1).view(np.int8).tolist()
    documents = [{"text": text, "vec": bits} for text, bits in zip(texts, packed, strict=True)]
    mapping = {"properties": {"text": TEXT, "vec": somebody.bits(encoder.fingerprint.dims)}}
    index = await somebody.open(somebody.make(mapping, *documents, settings=somebody.knn), "text", vector="vec")
    samples = await open_cluster_checks(somebody.cluster, timeout_s=TIMEOUT_S).samples(index, 2)

    assert compare_vectors(samples, encoder) == pytest.approx([1.0, 1.0])


async def test_a_document_of_a_required_routing_is_told_from_another_by_it(somebody: Somebody) -> None:
    mapping = {"_routing": {"required": True}, "properties": {"text": TEXT, "vec": somebody.vector()}}
    documents = [
        {"_id": "7", "_routing": f"tenant/{at}", "text": f"kiln {at}", "vec": [1, 1, 1, at]} for at in range(5)
    ]
    name = somebody.make(mapping, *documents, settings=somebody.knn | {"number_of_shards": 3})
    index = await somebody.open(name, "text", vector="vec")
    hits = (await index.lexical(LexicalQuery("kiln"), depth=10, filter=None, timeout_s=TIMEOUT_S)).ranking
    contents = await index.get(ids(hits), fields=None, timeout_s=TIMEOUT_S)
    kept = somebody.send("POST", f"/{name}/_search", {"_source": ["text"]})["hits"]["hits"]

    assert len(kept) > 1  # the same id in more than one shard
    assert {doc_id: fields["text"] for doc_id, fields in contents.items()} == {
        f"{hit['_routing'].replace('/', '%2F')}/7": hit["_source"]["text"] for hit in kept
    }
    for doc_id, fields in contents.items():
        assert await index.get([doc_id], fields=None, timeout_s=TIMEOUT_S) == {doc_id: fields}
    assert set(ids(await index.dense(NEAR, depth=10, filter=None, timeout_s=TIMEOUT_S))) == set(contents)
    assert index.schema.layout.address("tenant%2F3/7", name) == Address(name, "7", "tenant/3")
