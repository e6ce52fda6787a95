"""What users of secured engines may do with an index, as the probe finds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.scratch import unique_name
from support.secured import Secured

from connector.backfill.facts import Facts
from connector.backfill.probe.judge import judge
from connector.backfill.reading import read_facts
from connector.clusters.connect import connect
from connector.settings.sections import ClusterSettings

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


@pytest.fixture
def index(secured: Secured) -> Iterator[str]:
    """An index with a document, that anybody may make vectors for."""
    name = unique_name()
    secured.call("PUT", f"/{name}", {} if secured.kind == "elasticsearch" else {"settings": {"index.knn": True}})
    secured.call("PUT", f"/{name}/_doc/a?refresh=true", {"title": "a"})
    yield name
    secured.call("DELETE", f"/{name}")


def role(secured: Secured, index: str, *privileges: dict[str, list[str]], **hidden: Any) -> dict[str, Any]:
    granted = [name for each in privileges for name in each[secured.kind]]
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


async def test_what_is_missing_is_named(secured: Secured, index: str) -> None:
    updates = await facts_for(secured.add_user(f"{index}-u", role(secured, index, READ, UPDATE)), index)
    reads = await facts_for(secured.add_user(f"{index}-r", role(secured, index, READ)), index)

    assert updates.denied.keys() == {"mapping", "refresh", "stats", "nodes"}
    assert reads.denied.keys() == {"write", "mapping", "refresh", "stats", "nodes"}
    assert [found.rule for found in judge(updates).obstacles] == ["denied-mapping"]
    assert {found.rule for found in judge(reads).obstacles} == {"denied-write", "denied-mapping"}


async def test_who_does_not_see_all_may_not_update(secured: Secured, index: str) -> None:
    """The engines themselves refuse updates from those to whom something is hidden."""
    user = secured.add_user(f"{index}-part", role(secured, index, READ, UPDATE, hidden=True))

    assert "write" in (await facts_for(user, index)).denied
