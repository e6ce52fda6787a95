"""OpenSearch 3 restores the vectors of a document with many nested objects wrongly: such documents get no passages, so
that no partial update stores those of others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indices.backfills import WORDS, WordEncoder
from support.indices.besides import SETTINGS, cluster_of, fill_beside, make_beside
from support.indices.scratch import unique_name
from support.indices.shops import SMALL
from support.indices.somebody import TEXT, Somebody
from support.parts import until

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.into.copying import IntoJob
from connector.backfill.into.plan import create_new, plan_into
from connector.backfill.keeping_up.follower import IndexFollower
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.migrating import plan_migration, read_backfills
from connector.backfill.planning.plan import BackfillWish, plan_backfill, probe_indices
from connector.backfill.planning.sampling import measure_sample, read_sample_of
from connector.backfill.report import BackfillReport
from connector.backfill.scan import read_again, read_documents
from connector.backfill.undo import UndoJob, UndoReport, has_ours, plan_undo
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.writing.restored_vectors import MISREAD, MOST_NESTED, STAYS, TOO_LONG
from connector.doctor.rest_checks import RestChecks
from connector.doctor.samples import compare_vectors

pytestmark = [pytest.mark.live, pytest.mark.parametrize("engine", ["os3"], indirect=True)]
ENCODER = WordEncoder()
OTHER = WordEncoder(replace(WORDS, name="others", sha256="fedcba9876543210"))
MAPPING = {"properties": {"title": TEXT, "price": {"type": "integer"}}}
METHOD = {"name": "hnsw", "engine": "lucene", "space_type": "l2"}
WORDS_OF_ONE = 30  # of a passage, for an encoder of 32 tokens; without sentences none is repeated


def long_text(passages: int) -> str:
    return " ".join(f"word{at}" for at in range(WORDS_OF_ONE * passages))


def make(somebody: Somebody, *passages: int) -> str:
    """An index with documents of so many passages, behind one of a few."""
    texts = ["a few words", *map(long_text, passages)]
    return somebody.make(MAPPING, *({"title": text} for text in texts), settings=somebody.knn)


async def fill(somebody: Somebody, plan: BackfillPlan, encoder: WordEncoder, folder: Path) -> BackfillReport:
    await put_fields(cluster_of(somebody), plan)
    job = BackfillJob(cluster_of(somebody), plan, encoder, SMALL, expected=9, rejects=folder / "rejects")
    report = await job.run()
    somebody.send("POST", f"/{plan.index}/_refresh")
    return report


def check_vectors(somebody: Somebody, index: str) -> dict[str, int]:
    """How many passages each document has, whose vectors are those of their texts."""
    counts = {}
    for hit in somebody.send("POST", f"/{index}/_search", {"size": 100})["hits"]["hits"]:
        passages = [passage for name in ("passages", "passages_2") for passage in hit["_source"].get(name) or ()]
        counts[hit["_id"]] = len(passages)
        for passage in passages:
            assert np.allclose(passage["vector"], ENCODER.encode_query(passage["text"]), atol=1e-3), hit["_id"]
    return counts


def touch(somebody: Somebody, index: str) -> None:
    """What an application does."""
    for doc_id in ("d0", "d1", "d2"):
        somebody.send("POST", f"/{index}/_update/{doc_id}", {"doc": {"price": 1}})
    somebody.send("POST", f"/{index}/_refresh")


async def test_the_engine_restores_vectors_up_to_a_number(somebody: Somebody) -> None:
    """Where this fails, the engine is mended, and from its version on nothing need be left out."""
    vector = {"type": "knn_vector", "dimension": 2, "method": METHOD}
    mapping = {"properties": {"parts": {"type": "nested", "properties": {"vector": vector}}}}
    counts = (3, MOST_NESTED, MOST_NESTED + 1)
    documents = [{"parts": [{"vector": [at + 1.0, n + 1.0]} for n in range(count)]} for at, count in enumerate(counts)]
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    somebody.send("POST", f"/{index}/_forcemerge?max_num_segments=1")  # alone in a segment, a document is shown rightly
    found = {hit["_id"]: hit["_source"] for hit in somebody.send("POST", f"/{index}/_search", {})["hits"]["hits"]}

    assert [found[f"d{at}"] == document for at, document in enumerate(documents)] == [True, True, False]


async def test_a_back_fill_leaves_out_what_would_be_restored_wrongly(somebody: Somebody, tmp_path: Path) -> None:
    index = make(somebody, MOST_NESTED, MOST_NESTED + 1)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    plan = await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS)
    report = await fill(somebody, plan, ENCODER, tmp_path)
    touch(somebody, index)

    assert (report.counts.written, report.counts.refused, report.reasons) == (2, 1, {TOO_LONG: 1})
    assert check_vectors(somebody, index) == {"d0": 1, "d1": MOST_NESTED, "d2": 0}


async def test_passages_of_two_encoders_count_together(somebody: Somebody, tmp_path: Path) -> None:
    index = make(somebody, MOST_NESTED // 2, MOST_NESTED // 2 + 1)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    await fill(somebody, await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS), ENCODER, tmp_path)
    (now,) = await read_backfills(cluster_of(somebody), index)
    plan, _ = await plan_migration(cluster_of(somebody), now, OTHER.fingerprint, SETTINGS)
    report = await fill(somebody, plan, OTHER, tmp_path)
    touch(somebody, index)

    assert (report.counts.written, report.reasons) == (2, {TOO_LONG: 1})
    half = MOST_NESTED // 2
    assert check_vectors(somebody, index) == {"d0": 2, "d1": 2 * half, "d2": half + 1}


async def test_a_new_index_gets_such_a_document_without_passages(somebody: Somebody) -> None:
    index, new = make(somebody, MOST_NESTED, MOST_NESTED + 1), unique_name()
    somebody.drop_later(new)
    cluster = cluster_of(somebody)
    plan = await plan_into(cluster, index, new, SETTINGS, WORDS, text={"title": 1.0})
    await create_new(cluster, plan)
    report = await IntoJob(cluster, plan, ENCODER, SMALL).run()
    somebody.send("POST", f"/{new}/_refresh")
    long = somebody.send("GET", f"/{new}/_doc/d2")["_source"]
    touch(somebody, new)

    assert (report.counts.copied, report.same, report.reasons) == (3, True, {TOO_LONG: 1})
    assert check_vectors(somebody, new) == {"d0": 1, "d1": MOST_NESTED, "d2": 0}
    assert long == {"title": long_text(MOST_NESTED + 1)}


async def test_vectors_beside_an_index_stay_right_for_a_document_of_any_length(somebody: Somebody) -> None:
    index = make(somebody, MOST_NESTED + 1)
    beside = await make_beside(somebody, index, text={"title": 1.0})
    await fill_beside(somebody, beside, ENCODER)
    somebody.send("POST", f"/{index}/_update/d1?refresh=true", {"doc": {"price": 2}})
    report = await fill_beside(somebody, beside, ENCODER)
    checks = RestChecks(cluster_of(somebody).client, cluster_of(somebody).engine, url="", timeout_s=60.0)
    cosines = compare_vectors(await checks.samples(beside, 10), ENCODER)
    last = long_text(MOST_NESTED + 1).split()[-WORDS_OF_ONE:]
    (hit,) = await beside.dense(ENCODER.encode_query(" ".join(last)), depth=1, filter=None, timeout_s=60.0)

    assert (report.counts.written, report.counts.touched) == (1, 0)
    assert hit.passages[0].text.split() == last
    assert cosines == pytest.approx([1.0])  # of the other: the engine shows wrong ones of this, and the doctor none


async def test_an_index_that_keeps_vectors_in_its_documents_has_no_such_bound(somebody: Somebody) -> None:
    settings: dict[str, Any] = somebody.knn | {"index.knn.derived_source.enabled": False}
    index = somebody.make(MAPPING, {"title": "a few words"}, {"title": long_text(MOST_NESTED + 1)}, settings=settings)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))

    assert (await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS)).most_nested is None


PARTS = {"type": "nested", "properties": {"n": {"type": "integer"}}}
WITH_VECTORS = {"type": "nested", "properties": {"vector": {"type": "knn_vector", "dimension": 2, "method": METHOD}}}


async def test_what_is_counted_is_what_the_engine_counts(somebody: Somebody) -> None:
    deep = {"type": "nested", "properties": {"x": {"type": "integer"}}}
    parts = {"type": "nested", "properties": WITH_VECTORS["properties"] | {"deep": deep}}
    mapping = {"properties": MAPPING["properties"] | {"parts": parts, "a": {"properties": {"b": PARTS}}}}
    documents: list[dict[str, Any]] = [
        {"parts": None}, {"parts": []}, {"parts": {}}, {"parts": [{}, None, {}]},
        {"parts": [[{"deep": {}}], [{}, {"deep": [{"x": 1}, {}]}]]}, {"parts": {"vector": [1, 2]}},
        {"parts": [{"vector": [1, 2]}, {"vector": [3, 4]}]}, {"a": [{"b": [{}, {"n": 1}]}, {"b": {}}, {"b": None}, {}]},
        {"a.b": [{}, {}]}, {"a.b": {}, "a": {"b": [{}]}, "parts": {}},
    ]  # fmt: skip
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    plan = await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS)
    found = [document async for document in read_documents(cluster_of(somebody), plan, 0)]
    again = [document for document in await read_again(cluster_of(somebody), plan, found) if document]
    each_path = [
        {"nested": {"path": path, "query": {"match_all": {}}, "score_mode": "sum"}}
        for path in ("parts", "parts.deep", "a.b")
    ]
    asked = {"query": {"bool": {"should": [*each_path, {"match_all": {"boost": 0.0}}]}}, "size": 100}
    hits = somebody.send("POST", f"/{index}/_search", asked)["hits"]["hits"]
    counted = {hit["_id"]: hit["_score"] for hit in hits}

    assert counted["d4"] == 6
    assert {document.doc_id: document.other_nested for document in found} == counted
    assert {document.doc_id: document.other_nested for document in again} == counted


async def test_nested_objects_of_the_application_count_too(somebody: Somebody, tmp_path: Path) -> None:
    room = MOST_NESTED - 3  # beside three passages
    parts = [[{"vector": [at + 1.0, n + 1.0]} for n in range(count)] for at, count in enumerate((2, room, room + 1))]
    documents = [
        {"title": text, "parts": own} for text, own in zip(["a few words", *[long_text(3)] * 2], parts, strict=True)
    ]
    mapping = {"properties": MAPPING["properties"] | {"parts": WITH_VECTORS}}
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    plan = await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS)
    sample = measure_sample(plan, await read_sample_of(cluster_of(somebody), plan), ENCODER)
    report = await fill(somebody, plan, ENCODER, tmp_path)
    touch(somebody, index)
    held = [somebody.send("GET", f"/{index}/_doc/d{at}")["_source"]["parts"] for at in range(3)]

    assert (report.counts.written, report.counts.refused, report.reasons) == (2, 1, {TOO_LONG: 1})
    assert (sample.most_passages, sample.most_nested) == (3, MOST_NESTED + 1)
    assert TOO_LONG in (tmp_path / "rejects").read_text()
    assert check_vectors(somebody, index) == {"d0": 1, "d1": 3, "d2": 0}
    assert held == parts


async def test_a_document_of_many_vectors_of_the_application_is_not_written_to(
    somebody: Somebody, tmp_path: Path
) -> None:
    many = [{"vector": [5.0, n + 1.0]} for n in range(MOST_NESTED + 1)]
    documents = [
        {"title": "a few words", "parts": [{"vector": [1.0, 1.0]}]},
        {"parts": many},
        {"title": "x", "parts": many},
    ]
    mapping = {"properties": MAPPING["properties"] | {"parts": WITH_VECTORS}}
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    report = await fill(somebody, await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS), ENCODER, tmp_path)
    found = {hit["_id"]: hit for hit in somebody.send("POST", f"/{index}/_search", {"version": True})["hits"]["hits"]}

    assert (report.counts.written, report.reasons) == (1, {TOO_LONG: 2})
    assert [found[f"d{at}"]["_version"] for at in range(3)] == [2, 1, 1]


async def refill(somebody: Somebody, index: str, folder: Path) -> BackfillReport:
    """A back-fill that is run again."""
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    return await fill(somebody, await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS), ENCODER, folder)


def update(somebody: Somebody, index: str, doc_id: str, **fields: Any) -> None:
    somebody.send("POST", f"/{index}/_update/{doc_id}?refresh=true", {"doc": fields})


async def test_a_text_that_has_become_too_long_loses_the_passages_of_the_old_one(
    somebody: Somebody, tmp_path: Path
) -> None:
    index = make(somebody, 2, 3)
    await refill(somebody, index, tmp_path)
    update(somebody, index, "d2", title=long_text(MOST_NESTED + 1))
    report = await refill(somebody, index, tmp_path)
    again = await refill(somebody, index, tmp_path)
    touch(somebody, index)
    left = somebody.send("POST", f"/{index}/_count", {"query": has_ours(AddedNames())})["count"]

    assert (report.counts.unchanged, report.counts.refused, report.reasons) == (2, 1, {TOO_LONG: 1})
    assert (again.counts.unchanged, again.reasons) == (2, {TOO_LONG: 1})
    assert check_vectors(somebody, index) == {"d0": 1, "d1": 2, "d2": 0}
    assert left == 2


async def test_a_document_that_outgrows_the_bound_loses_its_passages_while_it_is_followed(
    somebody: Somebody, tmp_path: Path
) -> None:
    mapping = {"properties": MAPPING["properties"] | {"parts": PARTS}}
    documents = [{"title": long_text(count), "parts": {"n": 1}} for count in (1, 2, 3)]
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    await refill(somebody, index, tmp_path)
    (probed,) = await probe_indices(cluster_of(somebody), index, BackfillWish({"title": 1.0}))
    plan = await plan_backfill(cluster_of(somebody), probed, WORDS, SETTINGS)
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    follower = IndexFollower(
        cluster_of(somebody), plan, ENCODER, SMALL, expected=3, rejects=tmp_path / "rejects",
        state=StateFile(tmp_path / "state"), stop=stop, every_s=0.05, sweep_s=3600,
    )  # fmt: skip
    task = asyncio.create_task(follower.run())
    update(somebody, index, "d1", parts=[{"n": n} for n in range(MOST_NESTED - 1)])  # with two passages one too many
    update(somebody, index, "d2", parts=[{"n": n} for n in range(MOST_NESTED - 3)])
    somebody.send("PUT", f"/{index}/_mapping", {"properties": {"later": PARTS}})
    update(somebody, index, "d0", later=[{"n": n} for n in range(MOST_NESTED)])
    lost = {"query": {"bool": {"must_not": [has_ours(AddedNames())]}}}
    await until(lambda: somebody.send("POST", f"/{index}/_count", lost)["count"] == 2)
    stop.set_result("enough")
    report = await task
    touch(somebody, index)

    assert report.reasons == {TOO_LONG: 2}
    assert check_vectors(somebody, index) == {"d0": 0, "d1": 0, "d2": 3}


async def make_outgrown(somebody: Somebody, folder: Path) -> tuple[str, BackfillPlan]:
    """An index with passages of two encoders, and the plan of the second; the application's own objects in d2 have come
    to too many since."""
    mapping = {"properties": MAPPING["properties"] | {"parts": PARTS}}
    documents = [{"title": long_text(count), "parts": {"n": 1}} for count in (1, 2, 3)]
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    await refill(somebody, index, folder)
    (now,) = await read_backfills(cluster_of(somebody), index)
    plan, _ = await plan_migration(cluster_of(somebody), now, OTHER.fingerprint, SETTINGS)
    await fill(somebody, plan, OTHER, folder)
    update(somebody, index, "d2", parts=[{"n": n} for n in range(MOST_NESTED - 4)])
    return index, plan


async def test_passages_of_two_encoders_go_together_where_either_would_be_wrong(
    somebody: Somebody, tmp_path: Path
) -> None:
    index, plan = await make_outgrown(somebody, tmp_path)
    report = await fill(somebody, plan, OTHER, tmp_path)
    touch(somebody, index)

    assert report.reasons == {TOO_LONG: 1}
    assert check_vectors(somebody, index) == {"d0": 2, "d1": 4, "d2": 0}


async def test_passages_stay_where_taking_them_out_would_harm_vectors_of_the_application(
    somebody: Somebody, tmp_path: Path
) -> None:
    mapping = {"properties": MAPPING["properties"] | {"parts": WITH_VECTORS}}
    documents = [{"title": long_text(count), "parts": [{"vector": [1.0, 1.0]}]} for count in (1, 2)]
    index = somebody.make(mapping, *documents, settings=somebody.knn)
    await refill(somebody, index, tmp_path)
    update(somebody, index, "d1", parts=[{"vector": [5.0, n + 1.0]} for n in range(MOST_NESTED)])
    report = await refill(somebody, index, tmp_path)
    document = somebody.send("GET", f"/{index}/_doc/d1")

    assert report.reasons == {STAYS: 1}
    assert (document["_version"], len(document["_source"]["passages"])) == (3, 2)


async def test_a_copy_has_no_vectors_that_the_engine_shows_wrongly(somebody: Somebody) -> None:
    vector = {"type": "knn_vector", "dimension": 2, "method": METHOD}
    mapping = {"properties": MAPPING["properties"] | {"top": vector, "parts": WITH_VECTORS, "plain": PARTS}}
    many = MOST_NESTED + 1
    documents: list[dict[str, Any]] = [
        {"title": "a few words", "top": [1, 2], "parts": [{"vector": [9, 9]}]},
        {"title": "b", "top": [3, 4], "parts": [{"vector": [5, n]} for n in range(MOST_NESTED - 1)]},
        {"title": "c", "top": [5, 6], "parts": [{"vector": [6, n]} for n in range(many)]},
        {"title": "d", "top": [7, 8], "parts": [{"vector": [7, 7]}], "plain": [{"n": n} for n in range(MOST_NESTED)]},
        {"title": "e", "top": [9, 9], "plain": [{"n": n} for n in range(many)]},
    ]
    index, new = somebody.make(mapping, *documents, settings=somebody.knn), unique_name()
    somebody.drop_later(new)
    plan = await plan_into(cluster_of(somebody), index, new, SETTINGS, WORDS, text={"title": 1.0})
    await create_new(cluster_of(somebody), plan)
    somebody.send("PUT", f"/{index}/_mapping", {"properties": {"later": WITH_VECTORS}})
    later = {"_id": "d5", "title": "f", "later": [{"vector": [8, n]} for n in range(many)]}
    somebody.write(index, later)
    report = await IntoJob(cluster_of(somebody), plan, ENCODER, SMALL).run()
    somebody.send("POST", f"/{new}/_refresh")
    found = {hit["_id"]: hit["_source"] for hit in somebody.send("POST", f"/{new}/_search", {})["hits"]["hits"]}
    passages = {doc_id: len(source.pop("passages", ())) for doc_id, source in found.items()}

    assert (report.counts.copied, report.counts.failed, report.same) == (3, 3, False)
    assert report.reasons == {MISREAD: 3, TOO_LONG: 1}
    assert passages == {"d0": 1, "d1": 1, "d4": 0}
    assert all({name: found[f"d{at}"].get(name) for name in documents[at]} == documents[at] for at in (0, 1, 4))


async def undo(somebody: Somebody, index: str, other: Backfilled | None = None) -> UndoReport:
    plan = await plan_undo(cluster_of(somebody), index, None, other)
    return await UndoJob(cluster_of(somebody), plan, SMALL).run()


@pytest.mark.parametrize("is_nulled", [False, True])
async def test_an_undo_leaves_a_document_whose_vectors_it_would_harm(
    somebody: Somebody, tmp_path: Path, is_nulled: bool
) -> None:
    mapping = {"properties": MAPPING["properties"] | {"parts": WITH_VECTORS}}
    documents = [{"title": long_text(count), "parts": [{"vector": [1.0, count]}]} for count in (1, 2, 3)]
    kept = {"_source": {"excludes": ["drafts"]}} if is_nulled else {}
    index = somebody.make(mapping | kept, *documents, settings=somebody.knn)
    await refill(somebody, index, tmp_path)
    for doc_id, passages in (("d1", 2), ("d2", 3)):
        count = MOST_NESTED - passages + (doc_id == "d2")
        update(somebody, index, doc_id, parts=[{"vector": [5.0, n + 1.0]} for n in range(count)])
    report = await undo(somebody, index)
    found = [somebody.send("GET", f"/{index}/_doc/d{at}") for at in range(3)]

    assert (report.anew + report.nulled, report.reasons, report.ok) == (2, {STAYS: 1}, False)
    assert bool(report.nulled) == is_nulled
    assert [bool(hit["_source"].get("passages")) for hit in found] == [False, False, True]
    assert [hit["_version"] for hit in found] == [3, 4, 3]
    assert found[1]["_source"]["parts"] == [{"vector": [5.0, n + 1.0]} for n in range(MOST_NESTED - 2)]


async def test_a_clean_takes_all_of_ours_out_of_a_document_that_has_outgrown_the_bound(
    somebody: Somebody, tmp_path: Path
) -> None:
    index, plan = await make_outgrown(somebody, tmp_path)
    report = await undo(somebody, index, plan.added)
    touch(somebody, index)

    assert (report.anew, report.reasons, report.ok) == (3, {}, True)
    assert check_vectors(somebody, index) == {"d0": 1, "d1": 2, "d2": 0}
