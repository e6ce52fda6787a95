"""Indices that other people made, with the mappings that they make: texts, filters, vectors, aliases, data streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.indices.scratch import unique_name
from support.indices.somebody import TEXT, Somebody
from support.parts import ids

from connector.clusters.protocol import Index
from connector.errors import ClusterError
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalQuery
from connector.types import Vector

pytestmark = pytest.mark.live
TIMEOUT_S = 30.0


async def passages(index: Index, query: str) -> list[str]:
    """The text that each hit of the lexical leg brings for the reranker."""
    hits = (await index.lexical(LexicalQuery(query), depth=10, filter=None, timeout_s=TIMEOUT_S)).ranking
    return [passage.text for hit in hits for passage in hit.passages] if hits else ["no hit"]


async def filtered(index: Index, words: str, found: Any) -> set[str]:
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    answer = await index.lexical(LexicalQuery(words), depth=10, filter=checked, timeout_s=TIMEOUT_S)
    return set(ids(answer.ranking))


TEXTS = {
    "sections": {"properties": {"heading": TEXT, "body": TEXT}},
    "summary": {"type": "text", "copy_to": "everything"},
    "remark": {"type": "text", "copy_to": "everything"},
    "everything": TEXT,
    "title": {
        "type": "text",
        "fields": {"english": {"type": "text", "analyzer": "standard"}, "raw": {"type": "keyword"}},
    },
    "heading": {"type": "alias", "path": "title"},
    "meta": {"properties": {"author": TEXT}},
    "comments": {"type": "nested", "properties": {"author": {"type": "keyword"}, "note": TEXT}},
    "kept": {"type": "text", "store": True},
    "lost": TEXT,
    "tag": {"type": "keyword"},
}
DOCUMENT = {
    "sections": [{"heading": "one", "body": "kiln cools"}, {"heading": "two", "body": "clay dries"}],
    "summary": "kiln in short",
    "remark": "clay aside",
    "title": "the kiln book",
    "meta.author": "kiln keeper",
    "comments": [{"author": "ann", "note": "kiln was hot"}, {"author": "bob", "note": "clay was wet"}],
    "kept": "kiln kept",
    "lost": "kiln lost",
    "tag": "kiln",
}


# the fields that are searched, and the text that a hit has of them
KEPT = (
    (["sections.body"], "kiln cools\nclay dries"),
    (["everything"], "clay aside\nkiln in short"),
    (["title.english"], "the kiln book"),
    (["title", "title.english"], "the kiln book"),
    (["heading"], "the kiln book"),
    (["meta.author"], "kiln keeper"),
    (["comments.note"], "kiln was hot\nclay was wet"),
    (["kept"], "kiln kept"),
    (["tag"], "kiln"),
    (["title", "comments.note", "lost"], "the kiln book\nkiln was hot\nclay was wet"),
)


async def test_the_text_of_a_hit_comes_from_wherever_it_is_kept(somebody: Somebody) -> None:
    name = somebody.make({"_source": {"excludes": ["kept", "lost"]}, "properties": TEXTS}, DOCUMENT, {"title": "other"})
    for fields, text in KEPT:
        index = await somebody.open(name, *fields)
        statistics = await index.term_statistics("kiln", timeout_s=TIMEOUT_S)
        content = await index.content(["d0"], query="kiln", vector=None, timeout_s=TIMEOUT_S)

        assert await passages(index, "kiln") == [text], fields
        assert [term.frequency for term in statistics.terms] == [1], fields
        assert content["d0"].matching is not None, fields
        assert content["d0"].matching.text == text, fields
        assert content["d0"].fields["title"] == "the kiln book", fields


async def test_a_text_that_is_kept_nowhere_is_known_to_be_missing(somebody: Somebody) -> None:
    name = somebody.make({"_source": {"excludes": ["lost"]}, "properties": TEXTS}, DOCUMENT)
    index = await somebody.open(name, "lost")

    assert await passages(index, "kiln") == []
    assert "'lost' is searchable but not kept" in index.schema.why_no_text


async def test_an_index_without_a_source_shows_what_is_stored(somebody: Somebody) -> None:
    name = somebody.make({"_source": {"enabled": False}, "properties": TEXTS}, DOCUMENT)
    index = await somebody.open(name, "kept", "title")

    assert await passages(index, "kiln") == ["kiln kept\nthe kiln book"]
    assert await index.get(["d0"], fields=None, timeout_s=TIMEOUT_S) == {
        "d0": {"kept": "kiln kept", "title.raw": "the kiln book"}
    }


def filter_mapping(elasticsearch: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "text": TEXT,
        "place": {"type": "keyword"},
        "where": {"type": "alias", "path": "place"},
        "labels": {"type": "flattened" if elasticsearch else "flat_object"},
        "brand": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "address": {"type": "ip"},
        "size": {"type": "double"},
        "count": {"type": "long"},
        "live": {"type": "boolean"},
        "day": {"type": "date"},
        "instant": {"type": "date_nanos"},
        "unindexed": {"type": "keyword", "index": False},
        "span": {"type": "integer_range"},
        "owners": {"type": "nested", "properties": {"name": {"type": "keyword"}, "since": {"type": "date"}}},
    }
    runtime = {"runtime": {"zone": {"type": "keyword"}}} if elasticsearch else {}
    properties |= {} if elasticsearch else {"zone": {"type": "keyword"}}
    return {"dynamic": False, "properties": properties} | runtime


CRATE = {
    "text": "crate of apples",
    "place": "cellar",
    "labels": {"owner": "abbey", "deep": {"key": "x"}},
    "brand": "Acme Fruit",
    "address": "10.1.2.3",
    "size": 1.5,
    "count": 9_007_199_254_740_993,
    "live": True,
    "day": "2024-01-15",
    "instant": "2024-01-15T10:00:00.123456789Z",
    "unindexed": "u",
    "span": {"gte": 3, "lte": 7},
    "owners": [{"name": "ann", "since": "2020-01-01"}, {"name": "bob", "since": "2022-01-01"}],
    "zone": "cold",
}


# each finds the crate, and not the other one
FILTERS: tuple[Any, ...] = (
    "where=cellar",
    "labels.owner=abbey",
    "labels.deep.key=x",
    "zone=cold",
    "brand.keyword=Acme Fruit",
    "address=10.1.0.0/16",
    "address>=10.1.0.0",
    "size>=1.5",
    "count=9007199254740993",
    "live=true",
    "day=2024-01-15",
    "instant=2024-01-15T10:00:00.123456789Z",
    "instant>=2024-01-15T10:00:00.123Z",
    "instant=2024-01-15T11:00:00.123456789+01:00",
    "instant=2024-01",
    "instant<2025",
    "unindexed=u",
    "span=5",
    "owners.name=bob",
    "owners.since>=2021-06-01",
    "owners.name?",
    {"and": ["owners.name=ann", {"not": "owners.name=cat"}]},
)


async def test_whatever_the_engine_can_filter_by_filters(somebody: Somebody) -> None:
    other = {"text": "crate of onions", "place": "attic", "zone": "dry"}
    index = await somebody.open(somebody.make(filter_mapping(somebody.is_elasticsearch), CRATE, other), "text")
    for found in FILTERS:
        assert await filtered(index, "crate", found) == {"d0"}, found
        assert await filtered(index, "crate", {"not": found}) == {"d1"}, found
    with pytest.raises(
        ClusterError, match=r"'nowhere' is not an IP string literal.*; give the filter a value of the field"
    ):
        await filtered(index, "crate", "address=nowhere")


NEAR = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)


async def nearest(index: Index, vector: Vector = NEAR, **options: Any) -> list[tuple[str, float]]:
    found = check_filter(parse_filter(options.get("found")), index.schema.fields.metadata)
    hits = await index.dense(vector, depth=5, filter=found, timeout_s=TIMEOUT_S)
    return [(hit.doc_id, round(hit.score, 2)) for hit in hits]


async def test_vectors_of_bytes_are_searched_by_their_direction(somebody: Somebody) -> None:
    kind = {"element_type": "byte"} if somebody.is_elasticsearch else {"data_type": "byte"}
    properties = {"text": TEXT, "vec": somebody.vector(**kind)}
    documents = [{"text": "x", "vec": vector} for vector in ([-9, 9, 9, 9], [90, 90, 90, 90], [1, 0, 0, 0])]
    index = await somebody.open(
        somebody.make({"properties": properties}, *documents, settings=somebody.knn), "text", vector="vec"
    )

    assert await nearest(index) == [("d1", 1.0), ("d0", 0.5), ("d2", 0.5)]


async def test_vectors_in_a_nested_object_are_searched_with_a_filter_on_the_document(somebody: Somebody) -> None:
    chunks = {"type": "nested", "properties": {"vec": somebody.vector()}}
    properties = {"text": TEXT, "team": {"type": "keyword"}, "chunks": chunks}
    documents = [
        {"text": "x", "team": "red", "chunks": [{"vec": [1, 1, 1, 1]}, {"vec": [1, 0, 0, 0]}]},
        {"text": "y", "team": "blue", "chunks": [{"vec": [1, 0, 0, 0]}]},
        {"text": "z", "chunks": [{"vec": [1, 1, 0, 0]}]},
    ]
    name = somebody.make({"properties": properties}, *documents, settings=somebody.knn)
    index = await somebody.open(name, "text", vector="chunks.vec")

    assert [doc_id for doc_id, _ in await nearest(index)] == ["d0", "d2", "d1"]
    assert [score for _, score in await nearest(index)] == pytest.approx([1, 0.71, 0.5], abs=0.02)
    assert [doc_id for doc_id, _ in await nearest(index, found="team=blue")] == ["d1"]
    assert [doc_id for doc_id, _ in await nearest(index, found="team!=red")] == ["d2", "d1"]


async def test_vectors_that_are_not_indexed_are_compared_one_by_one_or_said_to_be(somebody: Somebody) -> None:
    vector = (
        {"type": "dense_vector", "dims": 4, "index": False}
        if somebody.is_elasticsearch
        else {"type": "knn_vector", "dimension": 4}
    )
    documents = [{"text": "x", "vec": vec} for vec in ([1.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.1])]
    name = somebody.make({"properties": {"text": TEXT, "vec": vector}}, *documents)
    index = await somebody.open(name, "text", vector="vec")

    if somebody.is_elasticsearch:
        with pytest.raises(ClusterError, match=r"kept but not indexed .*name an indexed field in index.vector_field"):
            await nearest(index)
    else:
        assert [doc_id for doc_id, _ in await nearest(index)] != []
        assert len(await nearest(index)) == 2


async def test_vectors_come_out_of_no_hit(somebody: Somebody) -> None:
    properties = {"text": TEXT, "vec": somebody.vector(), "other": somebody.vector()}
    document = {"text": "x", "vec": [1, 1, 1, 1], "other": [1, 2, 3, 4], "embedding": [0.25] * 384, "sizes": [1, 2]}
    index = await somebody.open(somebody.make({"properties": properties}, document, settings=somebody.knn), "text")

    assert await index.get(["d0"], fields=None, timeout_s=TIMEOUT_S) == {"d0": {"text": "x", "sizes": [1, 2]}}


async def test_a_filtered_alias_hides_nothing_of_what_it_shows_from_the_dense_leg(somebody: Somebody) -> None:
    properties = {"text": TEXT, "team": {"type": "keyword"}, "vec": somebody.vector()}
    red = [{"text": "chimney", "team": "red", "vec": [1, at / 1000, 0, 0]} for at in range(150)]
    blue = [{"text": "chimney plan", "team": "blue", "vec": [0, 1, at, 0]} for at in range(3)]
    name = somebody.make({"properties": properties}, *red, *blue, settings=somebody.knn)
    index = await somebody.open(somebody.alias(name, filter={"term": {"team": "blue"}}), "text", vector="vec")
    query = np.array([1, 0, 0, 0], dtype=np.float32)
    statistics = await index.term_statistics("plan chimney", timeout_s=TIMEOUT_S)

    assert {doc_id for doc_id, _ in await nearest(index, query)} == {"d150", "d151", "d152"}
    assert await nearest(index, query, found="team=red") == []
    assert statistics.documents == 3


async def test_an_alias_with_a_routing_is_asked_as_it_is(somebody: Somebody) -> None:
    name = somebody.make({"properties": {"text": TEXT}}, {"text": "kiln"}, {"text": "clay"})
    index = await somebody.open(somebody.alias(name, routing="7"), "text")

    assert await passages(index, "kiln") == ["kiln"]
    assert [term.frequency for term in (await index.term_statistics("kiln", timeout_s=TIMEOUT_S)).terms] == [1]


async def test_a_data_stream_is_searched_over_all_its_backing_indices(somebody: Somebody) -> None:
    properties = {"@timestamp": {"type": "date"}, "message": TEXT, "porter": {"type": "keyword"}}
    logs = [{"@timestamp": "2024-05-01", "message": f"gate {word}", "porter": word} for word in ("opened", "closed")]
    index = await somebody.open(somebody.stream({"properties": properties}, *logs), "message")
    statistics = await index.term_statistics("closed gate", timeout_s=TIMEOUT_S)
    (hit,) = (await index.lexical(LexicalQuery("closed"), depth=5, filter=None, timeout_s=TIMEOUT_S)).ranking
    contents = await index.get([hit.doc_id], fields=None, timeout_s=TIMEOUT_S)

    assert hit.passages[0].text == "gate closed"
    assert contents[hit.doc_id]["porter"] == "closed"
    assert (statistics.documents, [term.frequency for term in statistics.terms]) == (2, [1])
    assert len(await filtered(index, "gate", "@timestamp>=2024-01-01")) == 2


async def test_our_own_index_behind_a_filtered_alias_is_searched_by_both_legs(somebody: Somebody) -> None:
    from connector.contract.synthetic import make_documents, schema

    name = unique_name()
    documents = make_documents()[:60]
    index = await somebody.cluster.create_index(name, schema())
    try:
        await index.write(documents)
        await index.finish()
        wanted = documents[7].document
        field = next(
            field for field, kind in schema().fields.metadata.items() if kind == "keyword" and field in wanted.fields
        )
        matching = {
            indexed.document.doc_id
            for indexed in documents
            if indexed.document.fields.get(field) == wanted.fields[field]
        }
        alias = somebody.alias(name, filter={"term": {field: wanted.fields[field]}})
        opened = await somebody.cluster.open_index(alias)
        hits = await opened.dense(documents[0].vectors[0], depth=60, filter=None, timeout_s=TIMEOUT_S)
    finally:
        await somebody.cluster.drop_index(name)

    assert set(ids(hits)) <= matching
    assert len(hits) == len(
        [indexed for indexed in documents if indexed.document.doc_id in matching and indexed.passages]
    )
