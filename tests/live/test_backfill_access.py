"""What users of secured engines may do with an index, as the probe finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.indices.backfills import WORDS, WordEncoder, plan_for
from support.indices.scratch import unique_name
from support.indices.secured import Secured

from connector.backfill.beside.filling import BesideCounts, BesideJob
from connector.backfill.beside.plan import open_beside, plan_beside
from connector.backfill.facts import Facts
from connector.backfill.fields import put_fields
from connector.backfill.keeping_up.beside_follow import BesideFollower
from connector.backfill.keeping_up.follower import IndexFollower
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.planning.reading import read_facts
from connector.backfill.probe.judge import judge
from connector.backfill.report import BackfillReport
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.clusters.writing.write_place import is_write_alias
from connector.errors import AccessDenied
from connector.settings.follow import FollowSettings
from connector.settings.sections import ClusterSettings, IngestSettings, Settings

pytestmark = pytest.mark.live
READ = {
    "elasticsearch": ["read", "view_index_metadata"],
    "opensearch": [
        "indices:data/read/*",
        "indices:admin/mappings/get",
        "indices:monitor/settings/get",
        "indices:admin/resolve/index",
    ],
}
UPDATE = {"elasticsearch": ["index"], "opensearch": ["indices:data/write/*"]}


STATS = {"elasticsearch": ["monitor"], "opensearch": ["indices_monitor"]}
REFRESH = {"elasticsearch": ["maintenance"], "opensearch": ["indices:admin/refresh*"]}


@pytest.fixture
def index(secured: Secured) -> Iterator[str]:
    """An index with a document, that anybody may make vectors for."""
    name = unique_name()
    secured.call("PUT", f"/{name}", {} if secured.kind == "elasticsearch" else {"settings": {"index.knn": True}})
    secured.call("PUT", f"/{name}/_doc/a?refresh=true", {"title": "a"})
    yield name
    secured.call("DELETE", f"/{name}")


def role(secured: Secured, index: str, *privileges: dict[str, list[str]], **hidden: Any) -> dict[str, Any]:
    granted = [name for privilege in privileges for name in privilege[secured.kind]]
    if secured.kind == "elasticsearch":
        query = {"query": {"term": {"title": "a"}}} if hidden else {}
        return {"indices": [{"names": [index], "privileges": granted} | query]}
    query = {"dls": '{"term": {"title": "a"}}'} if hidden else {}
    cluster = ["cluster:monitor/main", "indices:data/write/bulk"]
    return {
        "cluster_permissions": cluster,
        "index_permissions": [{"index_patterns": [index], "allowed_actions": granted} | query],
    }


async def facts_for(user: ClusterSettings, index: str) -> Facts:
    cluster = await connect(user)
    try:
        return await read_facts(cluster, index)
    finally:
        await cluster.close()


async def test_whoever_has_the_role_is_denied_nothing(secured: Secured, index: str) -> None:
    user = secured.add_user(f"{index}-all", secured.role("backfill", index))
    facts = await facts_for(user, index)

    assert (facts.denied, facts.unread) == ({}, {})
    assert judge(facts).in_place


async def test_whoever_has_the_role_of_beside_fills_an_index_beside_it_and_follows(
    secured: Secured, index: str, tmp_path: Path
) -> None:
    user = secured.add_user(f"{index}-beside", secured.role("beside", index))
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    cluster, state = await connect(user), StateFile(tmp_path / "state.json")
    assert isinstance(cluster, RestCluster)

    def see(counts: BesideCounts) -> None:
        if counts.passes == 2 and not stop.done():
            stop.set_result("seen")

    try:
        plan = await plan_beside(cluster, index, Settings(), WORDS, text={"title": 1.0})
        beside = await open_beside(cluster, plan)
        job = BesideJob(cluster, beside, WordEncoder(), IngestSettings(), stop=stop, on_progress=see)
        often = FollowSettings(every_s=0.1)
        report = await BesideFollower(cluster, beside, often, IngestSettings(), state=state, stop=stop).run(job)
        found = await beside.dense(WordEncoder().encode_query("a"), depth=3, filter=None, timeout_s=60)
        aliases = secured.call("GET", f"/{plan.name}/_alias")[plan.name]["aliases"]
    finally:
        await cluster.close()
        secured.call("DELETE", f"/vectors-of-{index}")

    assert (report.stopped, report.counts.written) == ("seen", 1)
    assert [hit.doc_id for hit in found] == ["a"]
    assert [is_write_alias(plan.name, alias) for alias in aliases] == [True]
    assert state.read() is not None


async def test_what_is_missing_is_named(secured: Secured, index: str) -> None:
    updates = await facts_for(secured.add_user(f"{index}-u", role(secured, index, READ, UPDATE)), index)
    reads = await facts_for(secured.add_user(f"{index}-r", role(secured, index, READ)), index)

    assert updates.denied.keys() == {"mapping", "refresh", "stats", "nodes"}
    assert reads.denied.keys() == {"write", "mapping", "refresh", "stats", "nodes"}
    assert [found.rule for found in judge(updates).obstacles] == ["denied-mapping"]
    assert {found.rule for found in judge(reads).obstacles} == {"denied-write", "denied-mapping"}


async def test_what_following_needs_is_named(secured: Secured, index: str, tmp_path: Path) -> None:
    admin = await connect(secured.superuser)
    assert isinstance(admin, RestCluster)
    plan = await plan_for(admin, index, {"title": 1.0})
    await put_fields(admin, plan)
    await admin.close()

    async def follow(name: str, *privileges: dict[str, list[str]]) -> BackfillReport:
        cluster = await connect(secured.add_user(f"{index}-{name}", role(secured, index, READ, UPDATE, *privileges)))
        assert isinstance(cluster, RestCluster)
        stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        follower = IndexFollower(
            cluster, plan, WordEncoder(), IngestSettings(backoff_s=0.01), expected=1, every_s=0.1, sweep_s=3600,
            rejects=tmp_path / "rejects", state=StateFile(tmp_path / f"{name}.json"), stop=stop,
            on_progress=lambda counts: counts.written and not stop.done() and stop.set_result("seen"),
        )  # fmt: skip
        try:
            return await follower.run()
        finally:
            await cluster.close()

    with pytest.raises(AccessDenied, match=r"needs the privilege to read its statistics .*run connector backfill now"):
        await follow("bare")
    with pytest.raises(AccessDenied, match=r"needs the privilege to refresh it .*run connector backfill now and then"):
        await follow("stats", STATS)
    report = await follow("whole", STATS, REFRESH)

    assert (report.stopped, report.counts.written) == ("seen", 1)


async def test_who_does_not_see_all_may_not_update(secured: Secured, index: str) -> None:
    """The engines themselves refuse updates from those to whom something is hidden."""
    user = secured.add_user(f"{index}-part", role(secured, index, READ, UPDATE, hidden=True))

    assert "write" in (await facts_for(user, index)).denied
