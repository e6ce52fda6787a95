"""A back-fill into whose midst something happens to the index: it ends soon, says why, counts what it did, and goes on
when run again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.indices.backfills import BrokenEncoder, WordEncoder, plan_for
from support.indices.somebody import TEXT, Somebody

from connector.backfill import scan
from connector.backfill.encoding import NO_NUMBER
from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.in_place import writing
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.settings.sections import ClusterSettings, IngestSettings

pytestmark = pytest.mark.live
DOCUMENTS = 24
ENCODER = WordEncoder()
SMALL = IngestSettings(group_documents=4, backoff_s=0.02, max_attempts=3, writers=1)


@pytest.fixture(params=["elasticsearch", "opensearch"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """An index of somebody's with our fields in its mapping, on an engine of each kind."""
    settings: ClusterSettings = request.getfixturevalue(request.param)
    cluster = await connect(settings)
    assert isinstance(cluster, RestCluster)
    somebody = Somebody(settings.url, cluster)
    documents = [{"title": f"thing {at}"} for at in range(DOCUMENTS)]
    made = somebody.make({"properties": {"title": TEXT}}, *documents, settings=somebody.knn)
    plan = await plan_for(cluster, made, {"title": 1.0})
    await put_fields(cluster, plan)
    yield Shop(somebody, cluster, plan)
    somebody.leave()
    await cluster.close()


class Shop:
    """The index, who made it, and what is to be added to it."""

    def __init__(self, somebody: Somebody, cluster: RestCluster, plan: BackfillPlan) -> None:
        self.somebody = somebody
        self.cluster = cluster
        self.plan = plan

    def set(self, **settings: Any) -> None:
        flat = {f"index.{name.replace('__', '.')}": value for name, value in settings.items()}
        self.somebody.send("PUT", f"/{self.plan.index}/_settings", flat)

    async def fill(
        self, folder: Path, happens: Callable[[], Any] = lambda: None, encoder: WordEncoder = ENCODER
    ) -> BackfillReport:
        """What `happens` does so when the first documents are written."""
        left = [happens]

        def interrupt(counts: BackfillCounts) -> None:
            if counts.written and left:
                left.pop()()

        job = BackfillJob(
            self.cluster,
            self.plan,
            encoder,
            SMALL,
            expected=DOCUMENTS,
            rejects=folder / "rejects",
            on_progress=interrupt,
        )
        return await job.run()


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write", "read_only"])
async def test_a_block_ends_it_at_once_and_is_named(shop: Shop, tmp_path: Path, block: str) -> None:
    report = await shop.fill(tmp_path, lambda: shop.set(**{f"blocks__{block}": True}))
    shop.set(**{f"blocks__{block}": False})
    assert report.stopped is not None
    assert "the index takes no writes" in report.stopped
    assert report.counts.retried == 0
    assert 0 < report.counts.written < DOCUMENTS
    assert report.counts.refused == 0

    again = await shop.fill(tmp_path)

    assert again.ok
    assert again.counts.written == DOCUMENTS - report.counts.written
    assert again.counts.unchanged == report.counts.written


async def test_an_engine_that_refuses_every_document_ends_it(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.set(mapping__nested_objects__limit=0)
    monkeypatch.setattr(writing, "HOPELESS", DOCUMENTS // 2)
    report = await shop.fill(tmp_path)

    assert report.stopped
    assert report.stopped.startswith("the engine refuses every document: ")
    assert "nested" in report.stopped
    assert DOCUMENTS // 2 <= report.counts.refused < DOCUMENTS
    assert report.counts.written == 0


async def test_a_text_of_which_the_encoder_makes_no_numbers_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.somebody.send("PUT", f"/{shop.plan.index}/_doc/d3?refresh=true", {"title": "a broken thing"})
    report = await shop.fill(tmp_path, encoder=BrokenEncoder())
    again = await shop.fill(tmp_path)

    assert (report.counts.written, report.counts.refused) == (DOCUMENTS - 1, 1)
    assert list(report.reasons.values()) == [1]
    assert NO_NUMBER in report.reasons
    assert (again.counts.written, again.counts.unchanged) == (1, DOCUMENTS - 1)


@pytest.mark.parametrize("shop", ["opensearch"], indirect=True)
async def test_a_view_that_the_engine_lost_is_opened_again(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FIRST_PAGE", 2)
    monkeypatch.setattr(scan, "PAGE", 2)
    report = await shop.fill(tmp_path, lambda: shop.somebody.send("DELETE", "/_search/point_in_time/_all"))

    assert report.ok
    assert report.counts.written == DOCUMENTS


async def test_an_index_that_is_closed_ends_it(shop: Shop, tmp_path: Path) -> None:
    report = await shop.fill(tmp_path, lambda: shop.somebody.send("POST", f"/{shop.plan.index}/_close"))

    assert report.stopped is not None
    assert "closed" in report.stopped
    assert not report.ok


async def test_an_index_that_is_deleted_stays_so(shop: Shop, tmp_path: Path) -> None:
    """The engines would make an empty index of an update into none."""
    report = await shop.fill(tmp_path, lambda: shop.somebody.send("DELETE", f"/{shop.plan.index}"))

    assert report.stopped is not None
    assert "was deleted" in report.stopped
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        shop.somebody.send("GET", f"/{shop.plan.index}")


async def test_another_index_of_that_name_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    """Rebuilt by its application: documents of the same ids, sequence numbers and terms, and other texts."""

    def rebuild() -> None:
        index = shop.plan.index
        shop.somebody.send("DELETE", f"/{index}")
        body = {"mappings": {"dynamic": "strict", "properties": {"title": TEXT}}}
        shop.somebody.send("PUT", f"/{index}", body)
        for at in range(DOCUMENTS):
            shop.somebody.send("PUT", f"/{index}/_doc/d{at}", {"title": f"other {at}"})

    report = await shop.fill(tmp_path, rebuild)
    found = shop.somebody.send("GET", f"/{shop.plan.index}/_doc/d{DOCUMENTS - 1}")

    assert report.stopped is not None
    assert "another index" in report.stopped
    assert (found["_version"], found["_source"]) == (1, {"title": f"other {DOCUMENTS - 1}"})


async def test_an_alias_that_moves_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    """What is filled is the index, by its own name."""
    alias = shop.somebody.alias(shop.plan.index)
    other = shop.somebody.make({"properties": {"title": TEXT}}, {"title": "a"})

    def move() -> None:
        actions = [{"remove": {"index": shop.plan.index, "alias": alias}}, {"add": {"index": other, "alias": alias}}]
        shop.somebody.send("POST", "/_aliases", {"actions": actions})

    report = await shop.fill(tmp_path, move)

    assert report.ok
    assert report.counts.written == DOCUMENTS
    assert shop.somebody.send("GET", f"/{other}/_doc/d0")["_source"] == {"title": "a"}


async def test_a_mapping_that_the_application_changes_keeps_what_is_ours(shop: Shop, tmp_path: Path) -> None:
    """Its migrations put a `_meta` of their own, which replaces ours."""

    def migrate() -> None:
        mapping = {"_meta": {"migration": 7}, "properties": {"colour": {"type": "keyword"}}}
        shop.somebody.send("PUT", f"/{shop.plan.index}/_mapping", mapping)

    report = await shop.fill(tmp_path, migrate)
    found = shop.somebody.send("GET", f"/{shop.plan.index}/_mapping")[shop.plan.index]["mappings"]

    assert report.ok
    assert found["_meta"].keys() == {"migration", "connector_backfill"}
    assert "colour" in found["properties"]
    assert any("_meta" in note for note in report.notes)


async def test_a_document_whose_version_an_application_gives_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    """The probe sees a sample; the job sees each document, also what comes while it runs."""
    address = f"/{shop.plan.index}/_doc/late?version_type=external&version="
    report = await shop.fill(tmp_path, lambda: shop.somebody.send("PUT", f"{address}1700", {"title": "late"}))
    shop.somebody.send("PUT", f"{address}1701", {"title": "later"})  # is taken

    assert (report.counts.written, report.counts.refused) == (DOCUMENTS, 1)
    assert [reason.startswith("an application gives the version") for reason in report.reasons] == [True]
    unchecked = replace(shop.plan, added=replace(shop.plan.added, versions_checked=False))
    job = BackfillJob(
        shop.cluster, unchecked, WordEncoder(), SMALL, expected=DOCUMENTS + 1, rejects=tmp_path / "rejects"
    )
    assert (await job.run()).counts.written == 1
