"""What comes to a followed index while it is followed, and what goes: no restart is needed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import LONGER as NEW
from support.indices.backfills import plan_for
from support.indices.besides import cluster_of, make_beside
from support.indices.followed_shops import encoders_of, followed_of, settings_of, small_shop
from support.indices.shops import ENCODER, SMALL
from support.indices.somebody import TEXT, Somebody

from connector.backfill.fields import BackfillPlan, put_fields, put_meta, read_index_mapping
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.keeping_up.finding import InPlaceVectors, find_to_follow
from connector.backfill.keeping_up.follower import MANY_REFUSED
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.preparing import FollowerFiles, Ready, prepare
from connector.backfill.keeping_up.run import FollowedIndices, FollowListeners, follow
from connector.backfill.migrating import read_backfills, switch_encoder
from connector.backfill.report import BackfillReport
from connector.backfill.run import PreparedBackfill, fill
from connector.backfill.scan import count_shards
from connector.backfill.undo import UndoJob, plan_undo
from connector.backfilled import AddedNames, with_leaving
from connector.clusters.connect import connect
from connector.errors import ClusterError, SettingsError
from connector.ingest.rejects import RejectsFile
from connector.settings.sections import ClusterSettings

PATIENCE_S = 120


async def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_a_change_of_the_encoder_needs_no_restart_of_the_follower(
    elasticsearch: ClusterSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster, plan = await small_shop(somebody, 3)
    index, stop = plan.index, asyncio.get_running_loop().create_future()

    def fields_of(doc_id: str) -> set[str]:
        """Those of ours with passages of the text that the document has now."""
        source: dict[str, Any] = somebody.send("GET", f"/{index}/_doc/{doc_id}")["_source"]
        return {name for name in ("passages", "passages_2") if [{"text": source["title"]}] == texts_of(source, name)}

    def write(doc_id: str, title: str) -> None:
        somebody.send("POST", f"/{index}/_update/{doc_id}", {"doc": {"title": title}, "doc_as_upsert": True})

    following = asyncio.create_task(
        follow(followed_of(cluster, plan, NEW), states=tmp_path, rejects=tmp_path / "rejects", stop=stop)
    )
    await until(lambda: fields_of("d0") == {"passages"})
    beside = replace(plan.added, encoder=NEW.fingerprint, names=AddedNames("passages_2"))
    other = replace(plan, added=beside, is_other=True)
    await put_fields(cluster, other)
    await until(lambda: "they are followed too" in caplog.text)
    write("new", "Doors")
    await until(lambda: fields_of("new") == {"passages", "passages_2"})
    old = fields_of("d1")
    filled = await BackfillJob(cluster, other, NEW, SMALL, expected=4, rejects=tmp_path / "others").run()
    (now,) = await read_backfills(cluster, index)
    now = await switch_encoder(cluster, now)
    write("d1", "Fire doors")
    await until(lambda: fields_of("d1") == {"passages", "passages_2"})
    cleaned = await UndoJob(cluster, await plan_undo(cluster, index, None, now.other), SMALL).run()
    await until(lambda: "followed no more" in caplog.text)
    write("d2", "Cold rooms")
    await until(lambda: fields_of("d2") == {"passages_2"})
    stop.set_result("the test ends it")
    reports = await following
    sources = [somebody.send("GET", f"/{index}/_doc/{doc_id}")["_source"] for doc_id in ("d0", "d1", "d2", "new")]
    somebody.leave()
    await cluster.close()

    assert old == {"passages"}  # what was there is left to the migration
    assert filled.counts.written == 3
    assert cleaned.ok
    assert [report.stopped for report in reports] == [None, "the test ends it"]
    counts = reports[1].counts  # a document is written again where a round had met it before, filled by the other job
    assert counts.written + counts.again == 3
    assert {name for source in sources for name in source} == {"title", "passages_2", "passages_2_of"}


async def test_an_index_with_its_vectors_beside_it_is_followed_too(
    elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    name = somebody.make({"properties": {"title": TEXT}}, {"title": "Shelves"})
    beside = (await make_beside(somebody, name, text={"title": 1.0})).vectors.name
    settings, stop = settings_of(elasticsearch.url, name), asyncio.get_running_loop().create_future()
    lags: list[PassageLag] = []
    found = await find_to_follow(cluster_of(somebody), settings)
    encoders = encoders_of(settings)
    ready = [await prepare(cluster_of(somebody), settings, vector, encoders) for vector in found.vectors]
    followed = FollowedIndices(cluster_of(somebody), settings, ready, encoders)
    listeners = FollowListeners(on_behind=lambda name, behind: lags.append(behind))
    following = asyncio.create_task(follow(followed, states=tmp_path, stop=stop, listeners=listeners))

    def has_vectors(doc_id: str) -> bool:
        return bool(somebody.client.get(f"/{beside}/_doc/{doc_id}").json().get("found"))

    await until(lambda: has_vectors("d0"))
    somebody.send("PUT", f"/{name}/_doc/new", {"title": "Doors"})
    await until(lambda: has_vectors("new") and lags[-1] == PassageLag())
    somebody.send("DELETE", f"/{name}")
    (report,) = await asyncio.wait_for(following, PATIENCE_S)
    somebody.leave()
    await somebody.cluster.close()

    assert report.stopped == f"index {name!r} is gone, and with it what was followed"
    assert (report.counts.written, report.counts.passages) == (2, 2)
    assert lags[-1].trouble == report.stopped


async def test_what_comes_and_cannot_be_followed_is_told_while_the_others_go_on(
    elasticsearch: ClusterSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    (cluster, staying), (_, rebuilt) = [await small_shop(somebody, 1) for _ in range(2)]
    strange = await plan_for(cluster, somebody.make({"properties": {"title": TEXT}}), {"title": 1.0}, NEW.fingerprint)
    await put_fields(cluster, strange)
    bare = somebody.make({"properties": {"title": TEXT}})
    alias = somebody.alias(f"{staying.index},{rebuilt.index}")
    settings, stop = settings_of(elasticsearch.url, alias), asyncio.get_running_loop().create_future()
    encoders = encoders_of(settings)
    encoders._loaded[NEW.fingerprint.name] = ENCODER  # another one has that name here
    ready = [Ready(InPlaceVectors(plan.index, plan.added, is_other=False), ENCODER, 0, plan) for plan in
             (staying, rebuilt)]  # fmt: skip
    troubles: dict[str, str] = {}
    listeners = FollowListeners(on_behind=lambda name, behind: troubles.update({name: behind.trouble}))
    followed = FollowedIndices(cluster, settings, ready, encoders)
    following = asyncio.create_task(
        follow(followed, states=tmp_path, rejects=tmp_path / "rejects", stop=stop, listeners=listeners)
    )

    def has_passages(index: str, doc_id: str) -> bool:
        found = somebody.client.get(f"/{index}/_doc/{doc_id}").json()
        return "passages" in found.get("_source", {})

    await until(lambda: has_passages(staying.index, "d0") and has_passages(rebuilt.index, "d0"))
    added = [{"add": {"index": name, "alias": alias}} for name in (bare, strange.index)]
    somebody.send("POST", "/_aliases", {"actions": added})
    await until(lambda: f"index {bare} behind {alias} was not back-filled, and is not followed" in caplog.text)
    await until(lambda: f"{strange.index} has vectors of longer" in caplog.text)
    somebody.send("DELETE", f"/{rebuilt.index}")
    somebody.send("PUT", f"/{rebuilt.index}", {"mappings": {"properties": {"title": TEXT}}, "aliases": {alias: {}}})
    await until(lambda: f"{rebuilt.index} is not followed any more" in caplog.text)
    somebody.send("PUT", f"/{staying.index}/_doc/new", {"title": "Doors"})
    await until(lambda: has_passages(staying.index, "new"))
    stop.set_result("the test ends it")
    reports = {report.index: report for report in await following}
    somebody.leave()
    await cluster.close()

    assert reports[staying.index].stopped == "the test ends it"
    assert "made anew" in str(reports[rebuilt.index].stopped)
    assert "made anew" in troubles[rebuilt.index]
    assert f"connector migrate {strange.index} --encoder" in troubles[strange.index]
    assert reports.keys() == {staying.index, rebuilt.index}


async def test_what_was_kept_of_other_passages_is_not_gone_on_from(
    elasticsearch: ClusterSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.backfill.keeping_up.follower.MOST_REFUSED", 1)
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster, plan = await small_shop(somebody, 3)
    somebody.send("PUT", f"/{plan.index}/_settings", {"index.mapping.nested_objects.limit": 0})

    async def follow_once(plan: BackfillPlan) -> BackfillReport:
        stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        (file,) = [FollowerFiles(tmp_path, None).of(ready)[1].path for ready in followed_of(cluster, plan).ready]
        before = file and file.exists() and file.stat().st_mtime_ns
        following = asyncio.create_task(
            follow(followed_of(cluster, plan), states=tmp_path, rejects=tmp_path / "rejects", stop=stop)
        )
        await until(lambda: bool(file and file.exists() and file.stat().st_mtime_ns != before))
        stop.set_result("it was kept")
        (report,) = await following
        return report

    refused = await follow_once(plan)
    somebody.send("PUT", f"/{plan.index}/_settings", {"index.mapping.nested_objects.limit": None})
    other = await plan_for(cluster, plan.index, {"title": 1.0})
    await put_fields(cluster, other)
    filled = await follow_once(other)
    somebody.leave()
    await cluster.close()

    assert refused.counts.refused == 3
    assert MANY_REFUSED in refused.notes
    assert filled.counts.written == 3
    assert [note for note in filled.notes if note.endswith("every document was looked at anew")]


async def test_one_file_of_rejects_keeps_those_of_all_indices(elasticsearch: ClusterSettings, tmp_path: Path) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    shops = [await small_shop(somebody, 1) for _ in range(2)]
    (cluster, _), plans = shops[0], [plan for _, plan in shops]
    for plan in plans:
        somebody.send("PUT", f"/{plan.index}/_settings", {"index.mapping.nested_objects.limit": 0})
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text("of an earlier run\n")
    probed: Any = [type("Probed", (), {"documents": 1})] * 2
    settings = settings_of(cluster.url, plans[0].index)
    prepared = PreparedBackfill(cluster, ENCODER, settings, probed, plans)
    reports = await fill(prepared, rejects=rejects)
    files = FollowerFiles(tmp_path, rejects)
    vectors = [InPlaceVectors(plan.index, plan.added, is_other=False) for plan in plans]
    first, second = (
        Ready(vector, ENCODER, 1, plan, uuid) for vector, plan, uuid in zip(vectors, plans, "uv", strict=True)
    )
    before = rejects.read_text()
    files.begin(files.of(first)[0])
    rejects.write_text(before)
    files.begin(files.of(second)[0])
    files.close()
    states = {files.of(replace(first, uuid=uuid))[1].path for uuid in "uw"}
    somebody.leave()
    await cluster.close()

    assert [report.counts.refused for report in reports] == [1, 1]
    assert [json.loads(line)["origin"] for line in before.splitlines()] == [plan.index for plan in plans]
    assert rejects.read_text() == before
    assert states == {tmp_path / f"{plans[0].index}.{uuid}.follow.json" for uuid in "uw"}


async def test_who_comes_second_takes_nothing_away_from_the_first(
    elasticsearch: ClusterSettings, tmp_path: Path
) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster, plan = await small_shop(somebody, 1)
    followed, rejects = followed_of(cluster, plan), tmp_path / "rejects"
    rejects.write_text("of the first\n")
    probed: Any = [type("Probed", (), {"documents": 1})]
    stop = asyncio.get_running_loop().create_future()
    state = FollowerFiles(tmp_path, rejects).of(followed.ready[0])[1]
    with state.held(), pytest.raises(SettingsError, match="another connector follow keeps its state"):
        await follow(followed, states=tmp_path, rejects=rejects, stop=stop)
    with RejectsFile(rejects).held():
        with pytest.raises(SettingsError, match="rejects is in use by"):
            await follow(followed, states=tmp_path, rejects=rejects, stop=stop)
        with pytest.raises(SettingsError, match="rejects is in use by"):
            await fill(PreparedBackfill(cluster, ENCODER, followed.settings, probed, [plan]), rejects=rejects)
    somebody.leave()
    await cluster.close()

    assert rejects.read_text() == "of the first\n"


async def test_what_cannot_be_followed_is_said_before_anything_is_written(elasticsearch: ClusterSettings) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster, plan = await small_shop(somebody, 1)
    bare = somebody.make({"properties": {"title": TEXT}})
    alias = somebody.alias(f"{plan.index},{bare}")
    both = await find_to_follow(cluster, settings_of(cluster.url, alias))
    none = await find_to_follow(cluster, settings_of(cluster.url, bare))
    await put_meta(cluster, plan.index, lambda meta: with_leaving(meta, "passages"))
    for read in (read_index_mapping, count_shards):
        with pytest.raises(ClusterError, match="of that very name"):
            await read(cluster, alias)
    leaving = await find_to_follow(cluster, settings_of(cluster.url, plan.index))
    somebody.leave()
    await cluster.close()

    assert ([vector.index for vector in both.vectors], both.without) == ([plan.index], [bare])
    both.check(alias)
    with pytest.raises(SettingsError, match=f"fill it first: connector backfill {bare}"):
        none.check(bare)
    with pytest.raises(SettingsError, match="are being taken out"):
        leaving.check(plan.index)


def texts_of(source: dict[str, Any], name: str) -> list[dict[str, str]]:
    return [{"text": passage["text"]} for passage in source.get(name) or ()]
