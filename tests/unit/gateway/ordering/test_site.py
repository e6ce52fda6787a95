"""The indexes that the gateway answers for: what it remembers of them keeps to its bounds, and one that it cannot
answer for passes through."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
from support.parts import HashEncoder, schema_of

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.gateway.encoder import SharedEncoder
from connector.gateway.ordering.site import Sites
from connector.settings.sections import Settings


def test_names_that_callers_make_up_are_not_all_remembered() -> None:
    settings = Settings.model_validate({"gateway": {"indexes": {"shop": {}}}})
    sites = Sites(settings, SharedEncoder(settings))
    tracemalloc.start()
    try:
        for number in range(1_500):
            assert sites.find(f"a{number}") is None
            assert sites.find(f"{number}" + "x" * 10_000) is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1_000_000


async def test_an_index_of_the_embedded_store_is_not_answered_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = await EmbeddedCluster.open(tmp_path)
    await cluster.create_index("shop", schema_of(HashEncoder(dims=4), text={"text": 1.0}, metadata={}))
    settings = Settings.model_validate(
        {"cluster": {"url": f"embedded:{tmp_path}"}, "gateway": {"indexes": {"shop": {}}, "upstream": ["http://h:1"]}}
    )
    sites = Sites(settings, SharedEncoder(settings))
    sites.start()
    await asyncio.wait_for(sites.tried.wait(), 120)
    found = sites.find("shop")
    await sites.close()

    assert found is None
    assert "searches of shop pass through, since it could not be opened: " in caplog.text
    assert "nor a plug-in's cluster has a _search of its own; set cluster.url to" in caplog.text
