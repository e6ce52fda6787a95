"""What the engines say of their load."""

from __future__ import annotations

import pytest
from support.somebody import TEXT, Somebody

from connector.backfill.scan import STATS_GROUP
from connector.backfill.throttle import WritePace
from connector.backfill.watch import LoadBounds, watch_load
from connector.clusters.rest import RestCluster

pytestmark = pytest.mark.live


async def test_nodes_and_the_searches_of_others_are_read(somebody: Somebody) -> None:
    name = somebody.make({"properties": {"title": TEXT}}, {"title": "a"})
    assert isinstance(somebody.cluster, RestCluster)
    watched = watch_load(somebody.cluster.client, name, WritePace(), LoadBounds(search_ms=1e9))
    before = await watched.ask_searches()
    somebody.send("POST", f"/{name}/_search", {"stats": [STATS_GROUP]})
    assert await watched.ask_searches() == before
    somebody.send("POST", f"/{name}/_search", {})

    assert (await watched.ask_searches()).searches == before.searches + 1
    assert 0 < (await watched.ask_nodes()).cpu_percent <= 100
    await watched.look()
    assert watched.notes == []
