"""An index that was back-filled is searched like one of ours, with nothing set, on each engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from support.gateway.running_gateway import answering_gateway
from support.indices.backfills import WORDS, WordEncoder, fill_index, plan_for
from support.indices.somebody import TEXT, Somebody, settings_of
from support.parts import OverlapScorer, serving
from support.worker.worker_app import wait_ready

from connector.backfilled import AddedNames
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.errors import EncoderMismatch, SettingsError
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalQuery
from connector.settings.sections import Settings, WorkerSettings
from connector.source_filter import read_source_filter
from connector.types import SearchRequest, SearchResponse
from connector.wiring import build_searcher, open_cluster, open_index
from connector.worker.app import create_app

ENCODER = WordEncoder()
ROWS: list[dict[str, Any]] = [
    {"title": "Cold rooms", "body": "The temperature is checked twice a day. " * 8 + "Doors stay shut.", "shelf": 1},
    {"title": "Returns", "body": "Opened sensors go back within two weeks.", "shelf": 2},
    {"title": "Holidays", "body": "Offices are closed in the last week of the year.", "shelf": 1},
    {"shelf": 2},
]
MAPPINGS = {"properties": {"title": TEXT, "body": TEXT, "shelf": {"type": "integer"}}}


async def make(somebody: Somebody, *rows: dict[str, Any], encoder: WordEncoder = ENCODER) -> str:
    index = somebody.make(MAPPINGS, *(rows or ROWS), settings=somebody.knn)
    assert isinstance(somebody.cluster, RestCluster)
    plan = await plan_for(somebody.cluster, index, {"title": 2.0, "body": 1.0}, encoder.fingerprint)
    await fill_index(somebody.cluster, plan, encoder)
    return index


async def search(
    somebody: Somebody, index: str, query: str, encoder: WordEncoder = ENCODER, **given: Any
) -> SearchResponse:
    settings = settings_of(somebody, index)
    cluster = await open_cluster(settings)
    try:
        searcher = build_searcher(await open_index(cluster, settings), encoder, {}, settings)
        return await searcher.search(SearchRequest(query, **given))
    finally:
        await cluster.close()


@pytest.mark.live
async def test_it_is_opened_and_searched_with_nothing_set(somebody: Somebody) -> None:
    index = await make(somebody)
    opened = await somebody.cluster.open_index(index)
    answer = await search(somebody, index, "opened sensors go back")
    filtered = await search(somebody, index, "opened sensors go back", filter={"term": {"shelf": 1}})
    worded = await opened.lexical(LexicalQuery("doors shut"), depth=10, filter=None, timeout_s=30)
    content = await opened.content(["d0", "d3"], query="doors shut", vector=None, timeout_s=30)
    nearest = await opened.dense(
        ENCODER.encode_query("doors stay shut"), depth=10, filter=None, timeout_s=30, passages=3
    )

    assert opened.schema.encoder == WORDS
    assert dict(opened.schema.fields.text) == {"title": 2.0, "body": 1.0}
    assert set(opened.schema.fields.metadata) == {"shelf"}
    assert answer.degraded == ()
    assert answer.hits[0].doc_id == "d1"
    assert answer.hits[0].fields == ROWS[1]
    assert answer.hits[0].passage is not None
    assert answer.hits[0].passage.text == "Returns\nOpened sensors go back within two weeks."
    assert {leg for hit in answer.hits for leg in hit.explain.legs} == {"lexical", "dense"}
    assert sorted(hit.doc_id for hit in filtered.hits) == ["d0", "d2"]
    (passage,) = (passage for hit in worded.ranking for passage in hit.passages)

    assert passage.text.startswith("Cold rooms\n")
    assert passage.text.endswith("Doors stay shut.")
    assert len(passage.text) < len(ROWS[0]["body"])
    assert content["d0"].matching == passage
    assert content["d3"].matching is None
    assert sorted(hit.doc_id for hit in nearest) == ["d0", "d1", "d2"]
    assert all(text.text.startswith("Cold rooms\n") for hit in nearest if hit.doc_id == "d0" for text in hit.passages)


@pytest.mark.live
async def test_what_a_back_fill_adds_is_not_shown_by_who_opened_the_index_before(somebody: Somebody) -> None:
    assert isinstance(somebody.cluster, RestCluster)
    index = somebody.make(MAPPINGS, *(row | {"made_of": ["oak"]} for row in ROWS), settings=somebody.knn)
    text = {"title": 2.0, "body": 1.0}
    opened = [await somebody.cluster.open_index(index, ForeignFields(text)) for _ in range(5)]
    plan = await plan_for(somebody.cluster, index, text)
    for name, is_other in (("passages", False), ("shop_of", True)):
        added = replace(plan.added, names=AddedNames(name), encoder=replace(WORDS, name=name))
        await fill_index(somebody.cluster, replace(plan, added=added, is_other=is_other), ENCODER)
    raw = somebody.send("GET", f"/{index}/_doc/d0")["_source"]

    assert set(raw) >= {"passages", "passages_of", "shop_of", "shop_of_of"}
    sources = (None, ["passages*", "s*"], {"excludes": ["*_of"]}, {"excludes": ["passages_of"]}, False)
    for before, given in zip(opened, sources, strict=True):
        source = read_source_filter(given)
        expected = ROWS[1] | {"made_of": ["oak"]}
        expected = source.apply(expected) if source else expected
        for _ in range(2):  # the second time it is known what not to ask for
            content = await before.content(["d1"], query=None, vector=None, timeout_s=30, source=source)
            fields = await before.get(["d1"], fields=None, timeout_s=30, source=source)

            assert content["d1"].fields == fields["d1"] == expected, given


@pytest.mark.live
async def test_a_filter_is_put_to_the_documents_before_the_nearest_are_taken(somebody: Somebody) -> None:
    rows = [{"title": f"near {at}", "body": "near near near", "shelf": 1} for at in range(40)]
    rows += [{"title": "far away", "body": "other words", "shelf": 2}]
    index = await make(somebody, *rows)
    opened = await somebody.cluster.open_index(index)
    vector = ENCODER.encode_query("near near near")
    for filter in ({"term": {"shelf": 2}}, {"not": {"term": {"shelf": 1}}}):
        checked = check_filter(parse_filter(filter), opened.schema.fields.metadata)
        found = await opened.dense(vector, depth=3, filter=checked, timeout_s=30)

        assert [hit.doc_id for hit in found] == ["d40"]


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9"], indirect=True)
async def test_another_encoder_is_refused_with_the_way_out(somebody: Somebody) -> None:
    index = await make(somebody, ROWS[0])
    other = WordEncoder(replace(WORDS, sha256="another"))
    with pytest.raises(EncoderMismatch, match=f"connector migrate {index} --encoder"):
        await search(somebody, index, "cold", other)


@pytest.mark.live
async def test_a_document_that_was_replaced_since_is_found_by_its_words(somebody: Somebody) -> None:
    index = await make(somebody)
    somebody.send("PUT", f"/{index}/_doc/d1?refresh=true", {"title": "Elevators", "body": "Ask the porter."})
    answer = await search(somebody, index, "elevators porter")

    assert answer.degraded == ()
    assert next(iter(answer.rankings["lexical"])).doc_id == "d1"
    assert "d1" not in {hit.doc_id for hit in answer.rankings["dense"]}
    assert [hit.passage and hit.passage.text for hit in answer.hits if hit.doc_id == "d1"] == [
        "Elevators\nAsk the porter."
    ]


@pytest.mark.live
@pytest.mark.parametrize("engine", ["os3"], indirect=True)
async def test_indices_behind_a_name_are_searched_as_one_where_one_query_fits_them(somebody: Somebody) -> None:
    first, second, plain = await make(somebody), await make(somebody), somebody.make(MAPPINGS, ROWS[0])
    other = await make(somebody, ROWS[0], encoder=WordEncoder(replace(WORDS, sha256="another")))
    both = await search(somebody, f"{first},{second}", "opened sensors go back")
    opened = await somebody.cluster.open_index(f"{first},{plain}")
    dense = await opened.dense(ENCODER.encode_query("cold rooms"), depth=9, filter=None, timeout_s=30)

    assert {hit.index for hit in both.hits[:2]} == {first, second}
    assert both.degraded == ()
    assert [note for note in opened.schema.layout.members.notes_of(["passages.vector"]) if plain in note]
    assert {hit.doc_id.partition("/")[0] for hit in dense} == {first}
    assert len((await opened.lexical(LexicalQuery("cold"), depth=9, filter=None, timeout_s=30)).ranking) == 2
    with pytest.raises(SettingsError, match="back-filled differently"):
        await somebody.cluster.open_index(f"{first},{other}")


@pytest.mark.live
@pytest.mark.parametrize("engine", ["os2"], indirect=True)
async def test_the_gateway_reranks_its_passages_with_nothing_set(somebody: Somebody) -> None:
    index = await make(somebody)
    assert isinstance(somebody.cluster, RestCluster)
    with serving(create_app(OverlapScorer, WorkerSettings())) as worker:
        settings = Settings.model_validate(
            {
                "cluster": {"url": somebody.cluster.url},
                "gateway": {"indexes": {index: {"mode": "union"}}},
                "search": {"deadline_s": 120},
                "rerankers": {"local": {"url": wait_ready(worker)}},
            }
        )
        body = {"query": {"match": {"body": "opened sensors"}}}
        with answering_gateway(settings, ENCODER) as url:  # type: ignore[arg-type]
            reply = await asyncio.to_thread(httpx.post, f"{url}/{index}/_search", json=body, timeout=60)
    hits = reply.json()["hits"]["hits"]

    assert "reranked" in reply.headers["x-rerank"], reply.headers
    assert hits[0]["_id"] == "d1"
    assert {hit["_id"] for hit in hits} > {"d1"}  # what only the dense leg finds is there too
