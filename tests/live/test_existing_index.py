"""An index that somebody else made, with flat vectors and a mapping of its own, is searched as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway.running_gateway import is_of_opensearch
from support.indices.scratch import engine_client, unique_name

from connector.clusters.connect import connect
from connector.errors import FilterError, SettingsError
from connector.ingest.job import run_job
from connector.models.encoder import Encoder
from connector.search.searcher import Searcher
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, SearchResponse
from connector.wiring import build_searcher, open_cluster, open_index

ARTICLES = {
    "a1": (
        "Returning hardware",
        "Opened sensors can be sent back for a refund within two weeks.",
        "Acme",
        10.5,
        "2024-01-15",
    ),
    "a2": ("Cold rooms", "The temperature of a cold room is checked twice a day.", "Frost & Söhne", 20.0, "2024-03-01"),
    "a3": ("Partner programme", "A registered deal is protected for ninety days.", "Acme", 30.0, "2023-06-30"),
    "a4": ("Holiday calendar", "Offices are closed between Christmas and New Year.", "Acme", 40.0, "2024-12-24"),
    "a5": (
        "Gateway firmware",
        "A gateway must run the current firmware to be supported.",
        "Umbrella",
        50.0,
        "2024-01-15",
    ),
}


@pytest.fixture(scope="module")
def existing(engine: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index of articles: analyzed and keyword fields, a nested object, a flat vector, an unfilled
    one."""
    name = unique_name()
    with engine_client(engine) as client:
        client.put(f"/{name}", json=_mapping(is_of_opensearch(engine), encoder.fingerprint.dims)).raise_for_status()
        vectors = encoder.encode([f"{title}\n{body}" for title, body, *_ in ARTICLES.values()])
        for (doc_id, (title, body, brand, price, date)), vector in zip(ARTICLES.items(), vectors, strict=True):
            article: dict[str, Any] = {
                "headline": title,
                "content": {"body": body, "length": len(body)},
                "brand": brand,
                "price": price,
                "published": date,
                "comments": [{"author": "someone", "text": "refund refund refund"}],
                "embedding": vector.tolist(),
                "notes": {"unmapped": ["values", 1]},
            }
            client.put(f"/{name}/_doc/{doc_id}", json=article).raise_for_status()
        client.post(f"/{name}/_refresh").raise_for_status()
        client.post("/_aliases", json={"actions": [{"add": {"index": name, "alias": f"{name}-alias"}}]})
        yield name
        client.delete(f"/{name}")


def _mapping(is_opensearch: bool, dims: int) -> dict[str, Any]:
    def vector(dims: int) -> dict[str, Any]:
        if not is_opensearch:
            return {
                "type": "dense_vector",
                "dims": dims,
                "index": True,
                "similarity": "cosine",
                "index_options": {"type": "hnsw"},
            }
        return {"type": "knn_vector", "dimension": dims,
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}}  # fmt: skip

    properties = {
        "headline": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "content": {"properties": {"body": {"type": "text"}, "length": {"type": "integer"}}},
        "brand": {"type": "keyword"},
        "price": {"type": "float"},
        "published": {"type": "date", "format": "yyyy-MM-dd"},
        "comments": {"type": "nested", "properties": {"author": {"type": "keyword"}, "text": {"type": "text"}}},
        "embedding": vector(dims),
        "tiny": vector(3),
        "notes": {"type": "object", "enabled": False},
    }
    settings = {"index": {"knn": True}} if is_opensearch else {}
    return {"settings": settings, "mappings": {"properties": properties}}


def _settings(engine: ClusterSettings, name: str, **index: Any) -> Settings:
    given = {"text_fields": {"headline": 2.0, "content.body": 1.0}, "vector_field": "embedding"} | index
    overrides = {f"index.{key}": value for key, value in given.items()}
    common = {"cluster.url": engine.url, "index.name": name, "search.deadline_s": 120.0}
    return load_settings(environ={}, overrides=common | overrides)


async def _search(settings: Settings, encoder: Encoder | None, query: str, **options: Any) -> SearchResponse:
    cluster = await open_cluster(settings)
    try:
        searcher: Searcher = build_searcher(await open_index(cluster, settings), encoder, {}, settings)
        return await searcher.search(SearchRequest(query, **options))
    finally:
        await cluster.close()


async def test_both_legs_search_it_and_hits_come_with_their_fields(
    engine: ClusterSettings, existing: str, encoder: Encoder
) -> None:
    response = await _search(_settings(engine, existing), encoder, "can I get my money back for a sensor, a refund")
    best = response.hits[0]
    title, body, brand, price, date = ARTICLES["a1"]

    assert response.degraded == ()
    assert best.doc_id == "a1"
    assert (best.explain.legs["lexical"].rank, best.explain.legs["dense"].rank) == (1, 1)
    assert [hit.doc_id for hit in response.rankings["lexical"]] != []
    assert {hit.doc_id for hit in response.rankings["dense"]} == set(ARTICLES)
    assert best.passage
    assert best.passage.text == f"{title}\n{body}"
    fields = dict(best.fields)
    assert "embedding" not in fields
    assert (fields["headline"], fields["brand"], fields["price"], fields["published"]) == (title, brand, price, date)
    assert fields["notes"] == {"unmapped": ["values", 1]}


async def test_the_dense_score_is_the_cosine(engine: ClusterSettings, existing: str, encoder: Encoder) -> None:
    query = "ninety days of protection"
    response = await _search(_settings(engine, existing), encoder, query)
    title, body, *_ = ARTICLES["a3"]
    cosine = float(encoder.encode([f"{title}\n{body}"])[0] @ encoder.encode_query(query))

    assert response.rankings["dense"][0].doc_id == "a3"
    assert response.rankings["dense"][0].score == pytest.approx(cosine, abs=1e-3)


@pytest.mark.parametrize(
    ("found", "matching"),
    [
        ("brand=Acme", {"a1", "a3", "a4"}),
        ("headline.raw=Cold rooms", {"a2"}),
        ("brand=Frost & Söhne", {"a2"}),
        ("published<=2024-01-15", {"a1", "a3", "a5"}),
        ("published=2024-01-15", {"a1", "a5"}),
        ({"not": {"range": {"price": {"gt": 20}}}}, {"a1", "a2"}),
        ("content.length>1", set(ARTICLES)),
        ("comments.author=someone", set(ARTICLES)),
        ("comments.author=nobody", set()),
        (["brand!=Acme", "published>2024-01-15"], {"a2"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else str(value),
)
async def test_its_own_fields_filter(
    engine: ClusterSettings, existing: str, encoder: Encoder, found: Any, matching: set[str]
) -> None:
    response = await _search(_settings(engine, existing), encoder, "gateway firmware", filter=found)

    assert response.degraded == ()
    assert {hit.doc_id for hit in response.hits} == matching


async def test_an_alias_is_as_good_as_its_name(engine: ClusterSettings, existing: str, encoder: Encoder) -> None:
    response = await _search(_settings(engine, f"{existing}-alias"), encoder, "cold room temperature")

    assert response.hits[0].doc_id == "a2"
    assert response.degraded == ()


async def test_without_a_vector_field_the_lexical_leg_alone_answers(engine: ClusterSettings, existing: str) -> None:
    response = await _search(_settings(engine, existing, vector_field=None), None, "gateway firmware")

    assert [hit.doc_id for hit in response.hits] == ["a5"]
    assert response.hits[0].stage == "lexical"
    assert response.degraded == ()


async def test_without_names_the_error_lists_the_candidates(engine: ClusterSettings, existing: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await _search(_settings(engine, existing, text_fields=None, vector_field=None), None, "refund")

    assert "index.text_fields (it has: comments.text, content.body, headline)" in str(caught.value)
    assert "index.vector_field (it has: embedding, tiny)" in str(caught.value)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            {"text_fields": {"title": 1.0}},
            "has no field 'title'; its text fields: comments.text, content.body, headline",
        ),
        ({"text_fields": {"brand": 1.0}}, None),
        ({"vector_field": "brand"}, "has no vector field 'brand'; it has: embedding, tiny"),
        ({"vector_field": "tiny"}, "'tiny' of index .* holds vectors of 3 dimensions"),
    ],
    ids=str,
)
async def test_names_that_do_not_fit_are_refused(
    engine: ClusterSettings, existing: str, encoder: Encoder, index: dict[str, Any], words: str | None
) -> None:
    if words is None:  # a keyword field can be searched for whole values
        assert (await _search(_settings(engine, existing, **index), encoder, "Acme")).degraded == ()
        return
    with pytest.raises(SettingsError, match=words):
        await _search(_settings(engine, existing, **index), encoder, "refund")


@pytest.mark.parametrize("name", ["headline", "comments", "embedding", "nothing"])
async def test_what_cannot_be_filtered_by_is_refused(
    engine: ClusterSettings, existing: str, encoder: Encoder, name: str
) -> None:
    with pytest.raises(FilterError, match=f"no field '{name}' to filter by"):
        await _search(_settings(engine, existing), encoder, "refund", filter=f"{name}=x")


async def test_nothing_is_ever_written_to_it(engine: ClusterSettings, existing: str, tmp_path: Any) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"_id": "new", "text": "a new row"}) + "\n")
    for settings in (_settings(engine, existing), _settings(engine, existing, text_fields=None, vector_field=None)):
        with pytest.raises(SettingsError, match="was not made by the connector"):
            await run_job(str(source), settings, rejects=tmp_path / "rejects.jsonl")
    cluster = await connect(engine)
    counted = await cluster.count(existing)
    await cluster.close()

    assert counted == len(ARTICLES)
