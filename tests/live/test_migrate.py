"""An index that was back-filled changes its encoder: searches by either are right at every moment in between."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import LONGER as NEW
from support.indices.backfills import WORDS, WordEncoder, fill_index, plan_for
from support.indices.shops import SMALL, read_all
from support.indices.somebody import TEXT, Somebody, settings_of

from connector.backfill.fields import put_fields, put_meta, read_index_mapping
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.migrating import (
    choose_to_switch,
    count_lacking,
    describe_switch,
    plan_migration,
    read_backfills,
    switch_encoder,
)
from connector.backfill.undo import UndoJob, plan_undo
from connector.backfilled import AddedNames, with_leaving
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import EncoderMismatch, SettingsError
from connector.settings.sections import ClusterSettings
from connector.types import SearchRequest
from connector.wiring import build_searcher, open_cluster, open_index

OLD = WordEncoder()
THIRD = WordEncoder(replace(WORDS, name="third", sha256="0000000000000000"))
ROWS: list[dict[str, Any]] = [
    {"title": "Cold rooms", "body": "The temperature is checked twice a day."},
    {"title": "Returns", "body": "Opened sensors go back within two weeks."},
    {"title": "Holidays", "body": "Offices are closed in the last week of the year."},
    {"title": "", "body": ""},
]
MAPPINGS = {"properties": {"title": TEXT, "body": TEXT}, "_meta": {"owner": "shop"}}
LEGS = {"lexical", "dense"}


async def legs_of(somebody: Somebody, index: str, encoder: WordEncoder) -> set[str]:
    """The legs that found the document on returns, which comes first. Raises EncoderMismatch."""
    settings = settings_of(somebody, index)
    cluster = await open_cluster(settings)
    try:
        searcher = build_searcher(await open_index(cluster, settings), encoder, {}, settings)
        answer = await searcher.search(SearchRequest("opened sensors go back"))
    finally:
        await cluster.close()

    assert answer.degraded == ()
    assert (answer.hits[0].doc_id, answer.hits[0].fields) == ("d1", ROWS[1])
    return set(answer.hits[0].explain.legs)


@pytest.mark.live
async def test_searches_by_either_encoder_are_right_at_every_moment(somebody: Somebody, tmp_path: Path) -> None:
    cluster = somebody.cluster
    assert isinstance(cluster, RestCluster)
    index = somebody.make(MAPPINGS, *ROWS, settings=somebody.knn)
    await fill_index(cluster, await plan_for(cluster, index, {"title": 2.0, "body": 1.0}), OLD)
    before = await read_all(somebody, index)
    (now,) = await read_backfills(cluster, index)
    with pytest.raises(SettingsError, match="vectors of one encoder only"):
        await switch_encoder(cluster, now)
    with pytest.raises(EncoderMismatch, match=f"connector migrate {index} --encoder"):
        await legs_of(somebody, index, NEW)

    plan, probed = await plan_migration(cluster, now, NEW.fingerprint, settings_of(somebody, index))
    await put_fields(cluster, plan)

    assert plan.added.names.passages == "passages_2"
    assert await legs_of(somebody, index, OLD) == LEGS
    assert await legs_of(somebody, index, NEW) == {"lexical"}  # nothing is filled yet
    (now,) = await read_backfills(cluster, index)
    assert "4 documents have no vectors" in (await describe_switch(cluster, now))[1]
    with pytest.raises(SettingsError, match="--clean"):
        await plan_migration(cluster, now, THIRD.fingerprint, settings_of(somebody, index))
    with pytest.raises(SettingsError, match="--clean"):
        await plan_undo(cluster, index, None)

    job = BackfillJob(cluster, plan, NEW, SMALL, expected=probed.documents, rejects=tmp_path / "rejects")
    report = await job.run()

    assert (report.counts.written, report.counts.without_text) == (3, 1)
    assert now.other
    assert await count_lacking(cluster, index, now.other) == 0
    assert await legs_of(somebody, index, OLD) == await legs_of(somebody, index, NEW) == LEGS

    for used in (NEW, OLD, NEW):
        now = await switch_encoder(cluster, now)

        assert now.used.encoder == (await cluster.open_index(index)).schema.encoder == used.fingerprint
        assert await legs_of(somebody, index, OLD) == await legs_of(somebody, index, NEW) == LEGS

    await put_meta(cluster, index, partial(with_leaving, name="passages"))
    (leaving,) = await read_backfills(cluster, index)
    with pytest.raises(SettingsError, match="are being taken out"):
        await switch_encoder(cluster, leaving)
    undone = await UndoJob(cluster, await plan_undo(cluster, index, None, now.other), SMALL).run()
    after = await read_all(somebody, index)

    assert undone.ok
    assert await legs_of(somebody, index, NEW) == LEGS
    with pytest.raises(EncoderMismatch):
        await legs_of(somebody, index, OLD)
    assert {name for source in after.values() for name in source} == {"title", "body", "passages_2", "passages_2_of"}
    assert [source["title"] for source in after.values()] == [source["title"] for source in before.values()]
    meta = (await read_index_mapping(cluster, index))["_meta"]
    assert set(meta) == {"owner", "connector_backfill"}


async def test_a_switch_of_several_indices_is_right_between_two_of_them(elasticsearch: ClusterSettings) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    cluster = somebody.cluster
    assert isinstance(cluster, RestCluster)
    indices = [somebody.make(MAPPINGS, row, settings=somebody.knn) for row in ROWS[:2]]
    for index in indices:
        plan = await plan_for(cluster, index, {"title": 2.0, "body": 1.0})
        beside = replace(plan.added, encoder=NEW.fingerprint, names=AddedNames("passages_2"))
        await fill_index(cluster, plan, OLD)
        await fill_index(cluster, replace(plan, added=beside, is_other=True), NEW)
    alias = somebody.alias(",".join(indices))
    settings = settings_of(somebody, alias)
    early = {model: build_searcher(await open_index(cluster, settings), model, {}, settings) for model in (OLD, NEW)}
    used = []
    for number in range(3):
        found = await read_backfills(cluster, alias)
        used.append([backfill.used.encoder.name for backfill in found])
        for encoder, before in early.items():
            late = build_searcher(await open_index(cluster, settings), encoder, {}, settings)
            for searcher in (before, late):
                answer = await searcher.search(SearchRequest("opened sensors go back"))

                assert answer.degraded == ()
                assert [hit.fields["title"] for hit in answer.hits] == ["Returns", "Cold rooms"]
                assert all("dense" in hit.explain.legs for hit in answer.hits)
        if number < 2:
            await switch_encoder(cluster, choose_to_switch(found)[0])
    somebody.leave()
    await cluster.close()

    assert used == [["words", "words"], ["longer", "words"], ["longer", "longer"]]
