"""A shop's own query as the lexical leg: an index that the connector did not make, ranked as the engine ranks it."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.gateway.running_gateway import COLOURS, ENCODER, JSON, NOUNS, is_of_opensearch, vector_field
from support.indices.scratch import engine_client, send_bulk, unique_name

from connector.clusters.connect import connect
from connector.errors import QueryError
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, SearchResponse
from connector.wiring import open_index

pytestmark = pytest.mark.live

EXAMPLES = Path(__file__).parents[2] / "examples"
PRODUCTS = {
    f"p{number}": {
        "name": f"{COLOURS[number % 5]} {NOUNS[number % 6]} {'for the living room' * (number % 2)}",
        "text": f"a {NOUNS[number % 6]} in {COLOURS[(number * 2) % 5]} number {number}",
        "market": ("de", "fr", "it")[number % 3],
        "hidden": number % 7 == 0,
        "sales": number * 13 % 50,
    }
    for number in range(60)
}
TEXT = {"type": "text"}
SYNONYMS = {"settee": "sofa couch", "crimson": "red"}  # the application's; these engines come without such analysis


def shop_query(text: str) -> JSON:
    """Words with slips and their synonyms, the phrase before the words, and what sells placed higher."""
    like = " ".join(found for word, found in SYNONYMS.items() if word in text)
    return {
        "function_score": {
            "query": {
                "bool": {
                    "must": {
                        "bool": {
                            "should": [
                                {"multi_match": {"query": text, "fields": ["name^3", "text"], "fuzziness": "AUTO"}},
                                {"match_phrase": {"name": {"query": text, "slop": 2, "boost": 5}}},
                                {"match": {"name": {"query": like, "boost": 0.5}}},
                            ]
                        }
                    },
                    "should": {"constant_score": {"filter": {"match": {"name": {"query": text, "operator": "and"}}}}},
                    "filter": [{"terms": {"market": ["de", "fr"]}}],
                    "must_not": [{"term": {"hidden": True}}],
                }
            },
            "functions": [
                {"field_value_factor": {"field": "sales", "modifier": "log1p", "missing": 0}},
                {"filter": {"match": {"text": "blue"}}, "weight": 0.5},
            ],
            "score_mode": "sum",
            "boost_mode": "multiply",
        }
    }


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings) -> Iterator[str]:
    """The name of an index of products."""
    name = unique_name()
    is_opensearch = is_of_opensearch(engine)
    mappings = {
        "properties": {
            "name": TEXT,
            "text": TEXT,
            "market": {"type": "keyword"},
            "hidden": {"type": "boolean"},
            "sales": {"type": "integer"},
            "vector": vector_field(is_opensearch),
        }
    }
    index = {"number_of_replicas": 0} | ({"knn": True} if is_opensearch else {})
    with engine_client(engine) as client:
        client.put(f"/{name}", json={"settings": {"index": index}, "mappings": mappings}).raise_for_status()
        vectors = ENCODER.encode([product["name"] for product in PRODUCTS.values()])
        lines = []
        for (doc_id, product), values in zip(PRODUCTS.items(), vectors, strict=True):
            lines += [{"index": {"_id": doc_id}}, product | {"vector": values.tolist()}]
        send_bulk(client, f"/{name}/_bulk?refresh=true", lines)
        yield name
        client.delete(f"/{name}")


def ask_engine(engine: ClusterSettings, name: str, query: JSON, size: int = 100) -> list[tuple[str, float]]:
    """The engine's own answer to a query, in the order in which equal scores are placed here."""
    reply = httpx.post(f"{engine.url}/{name}/_search", json={"query": query, "size": size}, timeout=60).json()
    return sorted(((hit["_id"], hit["_score"]) for hit in reply["hits"]["hits"]), key=lambda hit: (-hit[1], hit[0]))


async def search(engine: ClusterSettings, name: str, leg: JSON | None = None, **options: Any) -> SearchResponse:
    """A search of the shop without rerankers."""
    legs = {"lexical": leg} if leg else {}
    settings = Settings.model_validate(
        {
            "cluster": {"url": engine.url},
            "index": {"name": name, "text_fields": {"name": 2, "text": 1}, "vector_field": "vector"},
            "search": {"k": 50, "depth": 100, "rerank": "off", "legs": legs, "deadline_s": 120},
        }
    )
    cluster = await connect(settings.cluster)
    searcher = Searcher(await open_index(cluster, settings), ENCODER, {}, settings)
    try:
        return await searcher.search(SearchRequest(**options))
    finally:
        searcher.close()
        await cluster.close()


def ranked(response: SearchResponse, leg: str = "lexical") -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in response.rankings[leg]]


async def test_the_leg_ranks_as_the_engine_does_and_the_filter_holds_for_every_leg(
    engine: ClusterSettings, shop: str
) -> None:
    for text in ("red settee", "blue tabel", "living room"):
        query = shop_query(text)
        response = await search(engine, shop, lexical=query)
        expected = ask_engine(engine, shop, query)

        assert response.query == text
        assert ranked(response) == expected
        assert expected
        near = [PRODUCTS[doc_id] for doc_id, _ in ranked(response, "dense")]
        assert len(near) > len(expected)  # the dense leg finds more, and all within the filter
        assert all(product["market"] in ("de", "fr") and not product["hidden"] for product in near)


async def test_a_filter_of_the_search_is_joined_to_that_of_the_query(engine: ClusterSettings, shop: str) -> None:
    response = await search(engine, shop, lexical=shop_query("red sofa"), filter="market=de,it")

    for leg in ("lexical", "dense"):
        assert {PRODUCTS[doc_id]["market"] for doc_id, _ in ranked(response, leg)} == {"de"}


async def test_a_template_of_the_settings_is_sent_with_the_text(engine: ClusterSettings, shop: str) -> None:
    text = 'red "sofa" }{ \\'
    response = await search(engine, shop, {"query": shop_query("{{query}}")}, query=text)

    assert ranked(response) == ask_engine(engine, shop, shop_query(text))
    assert {PRODUCTS[doc_id]["market"] for doc_id, _ in ranked(response, "dense")} == {"de", "fr"}


async def test_a_match_of_a_keyword_is_no_text_and_an_unclear_one_has_to_be_given(
    engine: ClusterSettings, shop: str
) -> None:
    words: list[JSON] = [{"match": {"name": "red sofa"}}, {"match": {"market": "de"}}]
    response = await search(engine, shop, lexical={"bool": {"must": words}})
    unclear = {"bool": {"must": [*words, {"match": {"text": "blue"}}]}}
    given = await search(engine, shop, lexical=unclear, query="a red sofa")

    assert (response.query, given.query) == ("red sofa", "a red sofa")
    assert {PRODUCTS[doc_id]["market"] for doc_id, _ in ranked(response, "dense")} == {"de"}
    assert ranked(given) == ask_engine(engine, shop, unclear)
    with pytest.raises(QueryError, match=r"different texts .*; give it as query="):
        await search(engine, shop, lexical=unclear)


async def test_what_the_engine_refuses_of_a_requests_query_is_the_callers_to_know(
    engine: ClusterSettings, shop: str
) -> None:
    """A text that makes no sense in a template of the settings costs that leg alone."""
    broken = {"query_string": {"query": "red (sofa", "fields": ["name"]}}
    with pytest.raises(QueryError, match=r"the engine does not take this query.*red \(sofa"):
        await search(engine, shop, lexical=broken)
    response = await search(engine, shop, {"query": {"query_string": {"query": "{{query}}"}}}, query="red (sofa")

    assert [missing.stage for missing in response.degraded] == ["lexical"]
    assert {hit.stage for hit in response.hits} == {"dense"}


def test_the_example_reads_two_pages_with_the_shops_own_query(
    engine: ClusterSettings, shop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"CLUSTER_URL": engine.url, "INDEX_NAME": shop, "INDEX_TEXT_FIELDS": "{name: 3, text: 1}"}
    for name, value in (variables | {"SEARCH_RERANK": "off"}).items():
        monkeypatch.setenv(f"CONNECTOR_{name}", value)
    monkeypatch.setattr(sys, "argv", ["own_query.py", "red", "sofa"])
    example = runpy.run_path(str(EXAMPLES / "own_query.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    expected = ask_engine(engine, shop, example["shop_query"]("red sofa"))[:10]

    assert [line for line in printed if line.startswith("page")] == [f"page {at} for 'red sofa'" for at in (1, 2)]
    assert [line for line in printed if not line.startswith("page")] == [
        f"{rank}. {PRODUCTS[doc_id]['name']} [lexical]" for rank, (doc_id, _) in enumerate(expected, start=1)
    ]


async def test_pages_of_an_index_that_is_not_ours_go_on_to_the_end(engine: ClusterSettings, shop: str) -> None:
    """Also where it has no field of ours to order equal scores by."""
    flat: JSON = {"constant_score": {"filter": {"match": {"name": "red room sofa table"}}}}
    expected = {doc_id for doc_id, _ in ask_engine(engine, shop, flat)}
    legs = {"depth": 5}
    found: list[str] = []
    cursor: str | bool | None = True
    while cursor:
        response = await search(engine, shop, legs, lexical=flat, k=8, cursor=cursor)
        found += [hit.doc_id for hit in response.hits]
        cursor = response.cursor

    assert len(found) == len(set(found))
    assert set(found) >= expected
    assert len(found) == 60  # and what only the dense leg found
