"""The parts of a back-fill on each engine: fields put into a mapping, work found by query, conditional writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import WordEncoder, build_updates, plan_for
from support.indices.besides import cluster_of
from support.indices.somebody import TEXT, Somebody

from connector.backfill.fields import BackfillPlan, put_fields, read_index_mapping, take_meta_out
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.scan import FoundDocument, find_work, read_documents
from connector.backfill.write import UpdateOutcome, write_updates
from connector.backfilled import Backfilled
from connector.clusters.protocol import Engine
from connector.clusters.rest import RestCluster
from connector.schema import VectorSettings
from connector.settings.sections import IngestSettings

ENCODER = WordEncoder()
TITLE_AND_BODY = {"title": 2.0, "body": 1.0}


def make_index(somebody: Somebody, *, shards: int = 1, documents: int = 6) -> str:
    mappings = {"properties": {"title": TEXT, "body": TEXT}, "_meta": {"owner": "shop"}}
    rows: list[dict[str, Any]] = [
        {"title": f"Part {at}", "body": f"It fits shelf {at}."} for at in range(documents - 1)
    ]
    return somebody.make(mappings, *rows, {"price": 3}, settings=somebody.knn | {"index.number_of_shards": shards})


async def fill(cluster: RestCluster, plan: BackfillPlan, documents: list[FoundDocument]) -> list[UpdateOutcome]:
    return await write_updates(cluster, plan, build_updates(plan, documents, ENCODER))


async def work(cluster: RestCluster, plan: BackfillPlan, shard: int = 0) -> list[FoundDocument]:
    return [found async for found in find_work(cluster, plan, shard)]


@pytest.mark.live
async def test_work_is_what_lacks_passages_of_the_plan(somebody: Somebody) -> None:
    cluster, index = cluster_of(somebody), make_index(somebody)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    await put_fields(cluster, plan)
    first = await work(cluster, plan)
    outcomes = await fill(cluster, plan, first)
    somebody.send("POST", f"/{index}/_refresh")

    assert [found.doc_id for found in first] == [f"d{at}" for at in range(6)]
    assert first[0].texts == {"title": "Part 0", "body": "It fits shelf 0."}
    assert first[-1].texts == {}
    assert {outcome.kind for outcome in outcomes} == {"written"}
    assert await work(cluster, plan) == []

    somebody.send("PUT", f"/{index}/_doc/d1", {"title": "Part 1", "body": "Replaced."})
    somebody.send("POST", f"/{index}/_update/d2", {"doc": {"passages": [{"ordinal": 0, "text": "no vector"}]}})
    somebody.send("POST", f"/{index}/_update/d3", {"doc": {"passages": []}})
    somebody.send("POST", f"/{index}/_update/d4", {"doc": {"passages_of": ["passages", "another", "another:0123"]}})
    somebody.send("POST", f"/{index}/_update/d0", {"doc": {"body": "A new text, and the old passages."}})
    somebody.send("POST", f"/{index}/_refresh")
    all_of = {found.doc_id: found.marker async for found in read_documents(cluster, plan, 0)}

    assert [found.doc_id for found in await work(cluster, plan)] == ["d1", "d2", "d3", "d4"]
    assert all_of["d0"] == plan.added.marker(first[0].texts, has_passages=True)  # which is of the text before
    assert all_of["d5"] == plan.added.without_text


@pytest.mark.live
async def test_a_document_that_was_written_since_is_left_as_it_is(somebody: Somebody) -> None:
    cluster, index = cluster_of(somebody), make_index(somebody)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    await put_fields(cluster, plan)
    found = await work(cluster, plan)
    somebody.send("POST", f"/{index}/_update/d1", {"doc": {"price": 7}})
    somebody.send("DELETE", f"/{index}/_doc/d2")
    outcomes = await fill(cluster, plan, found[:4])

    assert [outcome.kind for outcome in outcomes] == ["written", "conflict", "gone", "written"]
    assert somebody.send("GET", f"/{index}/_doc/d1")["_source"] == {
        "title": "Part 1", "body": "It fits shelf 1.", "price": 7,
    }  # fmt: skip
    source = somebody.send("GET", f"/{index}/_doc/d0")["_source"]
    assert source["title"] == "Part 0"
    assert [(passage["ordinal"], passage["text"]) for passage in source["passages"]] == [
        (0, "Part 0\nIt fits shelf 0.")
    ]

    somebody.send("PUT", f"/{index}/_settings", {"index.blocks.write": True})
    try:
        (blocked,) = await fill(cluster, plan, found[4:5])
    finally:
        somebody.send("PUT", f"/{index}/_settings", {"index.blocks.write": False})

    assert blocked.kind == "blocked"
    assert "index.blocks.write" in blocked.reason


@pytest.mark.live
async def test_a_node_that_knows_no_base64_gets_floats(somebody: Somebody) -> None:
    """As in a cluster that is being upgraded: the node that was asked for its version is newer than the one that
    writes."""
    cluster, index = cluster_of(somebody), make_index(somebody)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    await put_fields(cluster, plan)
    documents = await work(cluster, plan)
    cluster.engine = Engine("elasticsearch", "9.3.0")
    outcomes = await fill(cluster, plan, documents)

    assert [outcome.kind for outcome in outcomes] == ["written"] * len(documents)


@pytest.mark.live
async def test_each_slice_is_one_shard_and_all_of_them_are_the_index(somebody: Somebody) -> None:
    cluster, index = cluster_of(somebody), make_index(somebody, shards=3, documents=60)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    found = [[document async for document in read_documents(cluster, plan, shard)] for shard in range(3)]
    of_shard = [
        {
            hit["_id"]
            for hit in somebody.send("POST", f"/{index}/_search?preference=_shards:{shard}", {"size": 100})["hits"][
                "hits"
            ]
        }
        for shard in range(3)
    ]

    assert [{document.doc_id for document in documents} for documents in found] == of_shard
    assert sum(map(len, of_shard)) == 60
    assert all(
        [document.seq_no for document in documents] == sorted({document.seq_no for document in documents})
        for documents in found
    )


@pytest.mark.live
async def test_our_part_of_meta_stands_beside_theirs(somebody: Somebody) -> None:
    cluster, index = cluster_of(somebody), make_index(somebody, documents=1)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    await put_fields(cluster, plan)
    meta = (await read_index_mapping(cluster, index))["_meta"]

    assert meta["owner"] == "shop"
    assert Backfilled.from_meta(meta) == plan.added

    await take_meta_out(cluster, index)

    assert (await read_index_mapping(cluster, index))["_meta"] == {"owner": "shop"}


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
async def test_what_was_written_before_it_was_mapped_is_written_again(somebody: Somebody) -> None:
    """To the engine the same content is no change, and so it would never be indexed."""
    cluster = cluster_of(somebody)
    mappings = {"dynamic": False, "properties": {"title": TEXT, "body": TEXT}}
    index = somebody.make(mappings, {"title": "Part 0", "body": "It fits."}, settings=somebody.knn)
    plan = await plan_for(cluster, index, TITLE_AND_BODY)
    unmapped = await fill(cluster, plan, await work(cluster, plan))
    await put_fields(cluster, plan)
    somebody.send("POST", f"/{index}/_refresh")
    found = await work(cluster, plan)
    mapped = await fill(cluster, plan, found)
    somebody.send("POST", f"/{index}/_refresh")

    assert [outcome.kind for outcome in unmapped] == ["written"]
    assert [document.doc_id for document in found] == ["d0"]
    assert [outcome.kind for outcome in mapped] == ["written"]
    assert await work(cluster, plan) == []


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9", "os3"], indirect=True)
async def test_a_job_writes_vectors_in_the_form_that_their_field_has(somebody: Somebody, tmp_path: Path) -> None:
    cluster, index = cluster_of(somebody), make_index(somebody)
    plan = replace(await plan_for(cluster, index, TITLE_AND_BODY), vectors=VectorSettings("byte_hnsw", 16, 100))
    await put_fields(cluster, plan)
    settings, rejects = IngestSettings(backoff_s=0.05), tmp_path / "rejects"
    report = await BackfillJob(cluster, plan, ENCODER, settings, expected=6, rejects=rejects).run()
    opened = await cluster.open_index(index)
    nearest = await opened.dense(ENCODER.encode_query("it fits shelf 3"), depth=1, filter=None, timeout_s=30)

    assert (report.counts.written, report.counts.without_text, report.reasons) == (5, 1, {})
    assert [hit.doc_id for hit in nearest] == ["d3"]
