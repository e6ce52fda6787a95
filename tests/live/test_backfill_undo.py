"""What a back-fill put into an index goes out again, on each engine, and nothing else with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.indices.backfills import WordEncoder, fill_index, plan_for
from support.indices.shop_writers import ShopWriter
from support.indices.somebody import TEXT, Somebody

from connector.backfill.fields import read_index_mapping
from connector.backfill.undo import UndoJob, UndoReport, has_ours, plan_undo
from connector.backfilled import META_KEY, AddedNames
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.settings.sections import IngestSettings

ENCODER = WordEncoder()
SMALL = IngestSettings(group_documents=16, backoff_s=0.05)
BODY = {"title": 2.0, "body": 1.0}
DOCUMENT: dict[str, Any] = {
    "title": "Cold rooms", "body": "Doors stay shut.", "price": 10.50, "tags": [["a"], "b", None, {}], "empty": [],
    "big": 2**63 - 1, "small": 1e-7, "nothing": None, "passages_of_time": "theirs", "deep": {"a.b": {"c": [1, 2.5]}},
    "embedding": [3.0, 4.0, 0.25, 0.0],
}  # fmt: skip


def make_mapping(somebody: Somebody, **more: Any) -> dict[str, Any]:
    kept = {"type": "object", "enabled": False}
    return {
        "properties": {"title": TEXT, "body": TEXT, "embedding": somebody.vector(), "deep": kept, "tags": kept}
        | {"price": {"type": "integer"}, "n": {"type": "long"}},
        "_meta": {"owner": "shop"},
    } | more


async def fill(somebody: Somebody, index: str) -> RestCluster:
    assert isinstance(somebody.cluster, RestCluster)
    await fill_index(somebody.cluster, await plan_for(somebody.cluster, index, BODY), ENCODER)
    return somebody.cluster


async def undo(cluster: RestCluster, index: str) -> UndoReport:
    return await UndoJob(cluster, await plan_undo(cluster, index, None), SMALL).run()


def read(somebody: Somebody, index: str, doc_id: str, routing: str = "") -> dict[str, Any]:
    """A document as it is stored, with vectors."""
    query = {"routing": routing} if routing else {}
    if str(somebody.cluster.engine).startswith("elasticsearch 9"):
        query["_source_exclude_vectors"] = "false"
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    source: dict[str, Any] = somebody.send("GET", f"/{index}/_doc/{doc_id}?{asked}")["_source"]
    return source


def count_ours(somebody: Somebody, index: str) -> int:
    somebody.send("POST", f"/{index}/_refresh")
    return int(somebody.send("POST", f"/{index}/_count", {"query": has_ours(AddedNames())})["count"])


@pytest.mark.live
async def test_documents_are_what_they_were(somebody: Somebody) -> None:
    routed = {"_routing": {"required": True}}
    index = somebody.make(
        make_mapping(somebody, **routed),
        DOCUMENT | {"_routing": "x"},
        {"price": 1, "_routing": "y"},
        settings=somebody.knn,
    )
    before = [read(somebody, index, "d0", "x"), read(somebody, index, "d1", "y")]
    cluster = await fill(somebody, index)
    filled = count_ours(somebody, index)
    report = await undo(cluster, index)
    mapping = await read_index_mapping(cluster, index)

    assert filled == 2
    assert (report.ok, report.anew, report.nulled) == (True, 2, 0)
    assert [read(somebody, index, "d0", "x"), read(somebody, index, "d1", "y")] == before == [DOCUMENT, {"price": 1}]
    assert count_ours(somebody, index) == 0
    assert mapping["_meta"] == {"owner": "shop"}
    assert "passages" in mapping["properties"]
    with pytest.raises(SettingsError, match="nothing to take out"):
        await plan_undo(cluster, index, None)


@pytest.mark.live
@pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
async def test_what_cannot_be_written_anew_is_nulled(somebody: Somebody) -> None:
    huge = '{"title": "Huge", "number": 123456789012345678901234567890}'
    index = somebody.make(make_mapping(somebody) | {"dynamic": False}, DOCUMENT, settings=somebody.knn)
    somebody.send_text("PUT", f"/{index}/_doc/huge?refresh=true", huge)
    cluster = await fill(somebody, index)
    report = await undo(cluster, index)

    assert (report.ok, report.anew, report.nulled) == (True, 1, 1)
    assert '"number":123456789012345678901234567890' in somebody.read_text(f"/{index}/_doc/huge").replace(": ", ":")
    assert read(somebody, index, "d0") == DOCUMENT
    assert count_ours(somebody, index) == 0


@pytest.mark.live
async def test_applications_lose_nothing_while_it_is_taken_out(somebody: Somebody) -> None:
    index = somebody.make(make_mapping(somebody), settings=somebody.knn)
    assert isinstance(somebody.cluster, RestCluster)
    writer = ShopWriter(somebody.cluster.url, index, "app", seed=3)
    await writer.fill(100)
    cluster = await fill(somebody, index)
    stop = asyncio.Event()
    writing = asyncio.create_task(writer.write_until(stop, most=200))
    await undo(cluster, index)
    stop.set()
    await writing
    if META_KEY in (await read_index_mapping(cluster, index))["_meta"]:
        assert (await undo(cluster, index)).ok
    left = count_ours(somebody, index)
    found = somebody.send("POST", f"/{index}/_search", {"size": 5_000})["hits"]["hits"]
    await writer.close()

    assert writer.refused == {}
    assert {hit["_id"]: hit["_source"] for hit in found} == writer.documents
    assert left == 0


@pytest.mark.live
async def test_where_somebody_wrote_over_meta_our_field_is_named(somebody: Somebody) -> None:
    index = somebody.make(make_mapping(somebody), DOCUMENT, settings=somebody.knn)
    cluster = await fill(somebody, index)
    somebody.send("PUT", f"/{index}/_mapping", {"_meta": {"migration": 7}})
    with pytest.raises(SettingsError, match="where somebody wrote over _meta, name our field: --field NAME"):
        await plan_undo(cluster, index, None)
    for other in ("body", "nothing"):
        with pytest.raises(SettingsError, match=f"has no field '{other}' of ours"):
            await plan_undo(cluster, index, other)
    report = await UndoJob(cluster, await plan_undo(cluster, index, "passages"), SMALL).run()

    assert (report.ok, report.anew) == (True, 1)
    assert read(somebody, index, "d0") == DOCUMENT
    assert (await read_index_mapping(cluster, index))["_meta"] == {"migration": 7}


@pytest.mark.live
@pytest.mark.parametrize("block", ["write", "read_only"])
async def test_a_block_ends_it_at_once_and_the_next_run_goes_on(
    somebody: Somebody, block: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = somebody.make(make_mapping(somebody), DOCUMENT, settings=somebody.knn)
    cluster = await fill(somebody, index)
    somebody.send("PUT", f"/{index}/_settings", {f"index.blocks.{block}": True})
    report = await undo(cluster, index)
    somebody.send("PUT", f"/{index}/_settings", {f"index.blocks.{block}": None})
    again = await undo(cluster, index)

    assert (report.ok, report.anew) == (False, 0)
    assert report.stopped
    assert "the index takes no writes" in report.stopped
    assert "trying again" not in caplog.text
    assert (again.ok, again.anew) == (True, 1)


@pytest.mark.live
async def test_a_document_that_the_engine_refuses_is_counted_and_keeps_the_note(somebody: Somebody) -> None:
    """Its mapping became strict after fields that it does not know were written."""
    index = somebody.make(
        make_mapping(somebody) | {"dynamic": False}, {"title": "a", "odd": 1}, {"title": "b"}, settings=somebody.knn
    )
    cluster = await fill(somebody, index)
    somebody.send("PUT", f"/{index}/_mapping", {"dynamic": "strict"})
    report = await undo(cluster, index)
    somebody.send("PUT", f"/{index}/_mapping", {"dynamic": False})
    again = await undo(cluster, index)

    assert (report.ok, report.anew, report.refused) == (False, 1, 1)
    assert ["strict" in reason for reason in report.reasons] == [True]
    assert (again.ok, again.anew) == (True, 1)
    assert read(somebody, index, "d0") == {"title": "a", "odd": 1}
