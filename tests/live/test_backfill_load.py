"""What the engines say of their load, and a dry run, which adds to it and to nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from support.indices.backfills import WordEncoder, plan_for
from support.indices.somebody import TEXT, Somebody

from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds, watch_load
from connector.backfill.planning.dry_run import rehearse_backfill
from connector.backfill.planning.reading import read_facts
from connector.backfill.probe.judge import NOTHING_PARTICULAR
from connector.backfill.scan import STATS_GROUP
from connector.clusters.rest import RestCluster
from connector.settings.sections import IngestSettings

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


async def test_a_dry_run_reckons_from_a_sample_and_changes_nothing(somebody: Somebody) -> None:
    texts = [{"title": f"thing {at}"} for at in range(9)]
    name = somebody.make({"properties": {"title": TEXT}}, *texts, {"price": 1}, settings=somebody.knn)
    assert isinstance(somebody.cluster, RestCluster)
    before = look(somebody, name)
    plan = await plan_for(somebody.cluster, name, {"title": 1.0})
    facts = await read_facts(somebody.cluster, name)
    encoder, settings = WordEncoder(), IngestSettings()
    found = await rehearse_backfill(somebody.cluster, plan, facts, NOTHING_PARTICULAR, encoder, settings)

    assert found.verdict.in_place
    assert (found.estimate.documents, found.estimate.passages, found.estimate.without_text) == (10, 9, 1)
    assert found.estimate.tokens == 18
    assert set(found.mapping["properties"]) == {"passages", "passages_of"}
    assert look(somebody, name) == before


def look(somebody: Somebody, name: str) -> tuple[Any, int]:
    """All that there is to change: settings, mapping and aliases, and how often the index was written to."""
    written = somebody.send("GET", f"/{name}/_stats/indexing")["_all"]["primaries"]["indexing"]["index_total"]
    return somebody.send("GET", f"/{name}"), written
