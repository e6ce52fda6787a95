"""A results page of an index that somebody else made, with its own query: what the engine itself answers to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.indices.scratch import ask_engine, engine_client, unique_name
from support.searches import search

from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.lexical import LexicalQuery, PageRequest
from connector.settings.sections import ClusterSettings
from connector.source_filter import read_source_filter

TIMEOUT_S = 30.0
COLOURS = ("red", "green", "blue")
PRODUCTS: dict[str, dict[str, Any]] = {
    f"o{at}": {
        "title": f"{COLOURS[at % 3]} {('sofa', 'chair', 'bed', 'couch')[at % 4]} number {at}",
        "body": f"A {('soft', 'hard')[at % 2]} {('settee', 'seat', 'mattress')[at % 3]}. " * (1 + at % 3)
        + f"It comes in {COLOURS[at % 3]}, and a couch goes with it.",
        "brand": ("Acme", "Umbrella", "Frost")[at % 3] if at % 7 else None,
        "price": at * 1.5,
        "maker": {"town": ("Ulm", "Bern")[at % 2], "since": 1900 + at, "vector": [0.1] * 80},
        "listed": f"2024-{1 + at % 12:02d}-15",
    }
    for at in range(40)
}
# as a shop has it: synonyms of its analyzer, a fuzzy and a phrase part, filters, functions of the score
OWN: dict[str, Any] = {
    "function_score": {
        "query": {
            "bool": {
                "must": [
                    {"multi_match": {"query": "sofa redd", "fields": ["title^3", "body"], "fuzziness": 1,
                                     "minimum_should_match": 1}}
                ],
                "should": [{"match_phrase": {"body": {"query": "comes in red", "slop": 2, "boost": 1.5}}}],
                "filter": [{"range": {"price": {"lte": 55}}}],
                "must_not": [{"term": {"brand": "Frost"}}],
            }
        },
        "functions": [{"filter": {"term": {"brand": "Acme"}}, "weight": 2},
                      {"field_value_factor": {"field": "price", "modifier": "ln2p"}}],
        "score_mode": "sum",
        "boost_mode": "sum",
    }
}  # fmt: skip
AGGREGATIONS: dict[str, Any] = {
    "brands": {"terms": {"field": "brand"}, "aggs": {"price": {"percentiles": {"field": "price"}}}},
    "months": {"date_histogram": {"field": "listed", "calendar_interval": "quarter"}},
    "all": {"global": {}, "aggs": {"towns": {"terms": {"field": "maker.town"}}}},
    "best": {"top_hits": {"size": 2, "_source": ["title"]}},
}
HIGHLIGHT: dict[str, Any] = {
    "fields": {"title": {"number_of_fragments": 0}, "body": {"fragment_size": 40, "number_of_fragments": 2}},
    "pre_tags": ["<b>"],
    "post_tags": ["</b>"],
}


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings) -> Iterator[str]:
    """The name of a shop's index with two shards, and synonyms in its analyzer where the engine has them."""
    words = {"tokenizer": "standard", "filter": ["lowercase", "alike", "porter_stem"]}
    alike = {"type": "synonym", "synonyms": ["sofa, couch, settee"]}
    analysis = {"filter": {"alike": alike}, "analyzer": {"words": words}}
    if not has_synonyms(engine):
        analysis = {"analyzer": {"words": {"type": "english"}}}
    towns = {"town": {"type": "keyword"}, "since": {"type": "integer"}, "vector": {"type": "float"}}
    properties = {
        "title": {"type": "text", "analyzer": "words"},
        "body": {"type": "text", "analyzer": "words"},
        "brand": {"type": "keyword"},
        "price": {"type": "float"},
        "maker": {"properties": towns},
        "listed": {"type": "date"},
    }
    name = unique_name()
    body = {"settings": {"number_of_shards": 2, "analysis": analysis}, "mappings": {"properties": properties}}
    with engine_client(engine) as client:
        client.put(f"/{name}", json=body).raise_for_status()
        for doc_id, product in PRODUCTS.items():
            client.put(f"/{name}/_doc/{doc_id}", json=product).raise_for_status()
        client.post(f"/{name}/_refresh").raise_for_status()
        yield name
        client.delete(f"/{name}")


def has_synonyms(engine: ClusterSettings) -> bool:
    """Whether the engine has the module of common analysis, which the tests' Elasticsearch lacks."""
    filters = {"filter": [{"type": "synonym", "synonyms": ["a, b"]}], "tokenizer": "standard", "text": "a"}
    return httpx.post(f"{engine.url}/_analyze", json=filters).is_success


@pytest.fixture
async def index(cluster: Cluster, shop: str) -> Index:
    return await cluster.open_index(shop, ForeignFields({"title": 2.0, "body": 1.0}))


async def test_ranking_total_and_aggregations_are_the_engines_own(engine: ClusterSettings, index: Index) -> None:
    reply = ask_engine(engine, index.name, {"query": OWN, "size": 40, "aggs": AGGREGATIONS})
    answer = await index.lexical(
        LexicalQuery("sofa redd", own=OWN),
        depth=40,
        filter=None,
        timeout_s=TIMEOUT_S,
        page=PageRequest(aggregations=AGGREGATIONS),
    )

    assert {hit.doc_id: hit.score for hit in answer.ranking} == {
        hit["_id"]: hit["_score"] for hit in reply["hits"]["hits"]
    }
    assert 5 < len(answer.ranking) < 40
    assert answer.page
    assert answer.page.aggregations == reply["aggregations"]
    assert answer.page.total
    assert {"value": answer.page.total.value, "relation": answer.page.total.relation} == reply["hits"]["total"]


@pytest.mark.parametrize("own", [OWN, None], ids=["own query", "our query"])
async def test_highlights_are_the_engines_own(engine: ClusterSettings, index: Index, own: dict[str, Any]) -> None:
    query = own or {"multi_match": {"query": "sofa bed", "fields": ["title^2", "body"], "type": "most_fields"}}
    reply = ask_engine(engine, index.name, {"query": query, "size": 40, "highlight": HIGHLIGHT})
    theirs = {hit["_id"]: hit["highlight"] for hit in reply["hits"]["hits"] if "highlight" in hit}
    found = await index.results_page.highlight(
        LexicalQuery("sofa bed", own=own), list(PRODUCTS), filter=None, options=HIGHLIGHT, timeout_s=TIMEOUT_S
    )

    assert {doc_id: found[doc_id] for doc_id in theirs} == theirs
    assert any("<b>" in fragment for marked in theirs.values() for fragment in marked["title"])
    if has_synonyms(engine):
        assert any("<b>settee</b>" in fragment for marked in theirs.values() for fragment in marked.get("body", ()))


async def test_a_passage_is_marked_with_the_synonyms_of_the_index(engine: ClusterSettings, index: Index) -> None:
    marked = await index.results_page.mark(
        "sofas", ["A couch, two sofas, a settee; no bed"], options=HIGHLIGHT, timeout_s=TIMEOUT_S
    )
    synonyms = "A <b>couch</b>, two <b>sofas</b>, a <b>settee</b>; no bed"

    assert marked == [synonyms if has_synonyms(engine) else "A couch, two <b>sofas</b>, a settee; no bed"]


@pytest.mark.parametrize(
    "asked",
    ["title", ["maker.town", "b*"], {"includes": ["maker"], "excludes": ["*.since"]}, {"excludes": ["body", "maker"]},
     ["*"], False],
)  # fmt: skip
async def test_source_shows_what_the_engine_shows_but_no_vector(
    engine: ClusterSettings, index: Index, asked: Any
) -> None:
    body = {"query": {"ids": {"values": ["o1", "o7", "o9"]}}, "_source": asked}
    theirs = {hit["_id"]: hit.get("_source", {}) for hit in ask_engine(engine, index.name, body)["hits"]["hits"]}
    for fields in theirs.values():
        fields.get("maker", {}).pop("vector", None)
    source = read_source_filter(asked)
    contents_of_ids = await index.get(["o1", "o7", "o9"], fields=None, timeout_s=TIMEOUT_S, source=source)
    contents = await index.content(["o1", "o9"], query="sofa", vector=None, timeout_s=TIMEOUT_S, source=source)

    assert contents_of_ids == theirs
    assert {doc_id: content.fields for doc_id, content in contents.items()} == {
        doc_id: theirs[doc_id] for doc_id in ("o1", "o9")
    }
    assert all(content.matching and "couch" in content.matching.text for content in contents.values())


async def test_groups_and_a_collapsed_sort_are_the_engines_own(engine: ClusterSettings, index: Index) -> None:
    sort = [{"listed": "desc"}, {"price": "asc"}]
    body = {"query": OWN, "size": 20, "sort": sort, "collapse": {"field": "maker.town"}}
    reply = ask_engine(engine, index.name, body)
    page = PageRequest(sort=sort, collapse="maker.town")
    answer = await index.lexical(LexicalQuery("sofa", own=OWN), depth=20, filter=None, timeout_s=TIMEOUT_S, page=page)
    groups = await index.results_page.groups(["o1", "o2", "o7"], "brand", timeout_s=TIMEOUT_S)

    assert [hit.doc_id for hit in answer.ranking] == [hit["_id"] for hit in reply["hits"]["hits"]]
    assert len(answer.ranking) == 2
    assert groups == {"o1": ("Umbrella",), "o2": ("Frost",), "o7": ()}


async def test_a_union_is_counted_in_one_request(engine: ClusterSettings, index: Index) -> None:
    found = ask_engine(engine, index.name, {"query": OWN, "size": 40})["hits"]["hits"]
    ids = {hit["_id"] for hit in found}
    others = [doc_id for doc_id in PRODUCTS if doc_id not in ids][:5]
    page = PageRequest(aggregations={"towns": {"terms": {"field": "maker.town"}}})
    union = await index.results_page.union(
        LexicalQuery("sofa", own=OWN), [*others, found[0]["_id"]], filter=None, timeout_s=TIMEOUT_S, page=page
    )

    assert union.total
    assert union.total.value == len(ids) + 5
    assert sum(bucket["doc_count"] for bucket in union.aggregations["towns"]["buckets"]) == len(ids) + 5


@pytest.mark.parametrize("own", [OWN, None], ids=["own query", "our query"])
async def test_a_search_hands_on_what_the_engine_answers(
    engine: ClusterSettings, index: Index, own: dict[str, Any] | None
) -> None:
    query = own or {"multi_match": {"query": "red sofa", "fields": ["title^2", "body^1"], "type": "most_fields"}}
    body = {"query": query, "size": 40, "aggs": AGGREGATIONS, "highlight": HIGHLIGHT}
    reply = ask_engine(engine, index.name, body)
    options: dict[str, Any] = {"lexical": own, "k": 10, "depth": 40, "aggs": AGGREGATIONS, "highlight": HIGHLIGHT}
    options["deadline_s"] = 120.0
    response = await search(index, None, "red sofa", encoder=None, **options)
    theirs = {hit["_id"]: hit for hit in reply["hits"]["hits"]}

    assert response.degraded == ()
    assert response.total
    assert {"value": response.total.value, "relation": response.total.relation} == reply["hits"]["total"]
    assert {**response.aggregations, "best": None} == {**reply["aggregations"], "best": None}
    assert top_ids(response.aggregations) == top_ids(reply["aggregations"])
    assert {hit.doc_id: hit.highlight for hit in response.hits} == {
        hit.doc_id: theirs[hit.doc_id].get("highlight", {}) for hit in response.hits
    }
    assert {hit.doc_id: hit.score for hit in response.rankings["lexical"]} == pytest.approx(
        {doc_id: hit["_score"] for doc_id, hit in theirs.items()}, rel=1e-6
    )
    assert len(response.hits) == 10


def top_ids(aggregations: Any) -> list[tuple[str, float]]:
    """The best hits in an aggregation; equal scores of two shards may change places."""
    return sorted((hit["_id"], hit["_score"]) for hit in aggregations["best"]["hits"]["hits"])
