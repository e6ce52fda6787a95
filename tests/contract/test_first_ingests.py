"""Two jobs that both find no index: one makes it, the other goes on with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name
from support.parts import HashEncoder

from connector.clusters.connect import connect
from connector.ingest.job import _create, make_plan
from connector.ingest.sources import open_source
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live


async def test_the_later_of_two_first_ingests_goes_on_with_the_index_of_the_other(
    engine: ClusterSettings, tmp_path: Path
) -> None:
    rows = tmp_path / "tools.jsonl"
    rows.write_text("".join(json.dumps({"id": f"t{at}", "text": f"Tool {at} of the shed"}) + "\n" for at in range(9)))
    name = unique_name()
    settings = load_settings(environ={}, overrides={"cluster.url": engine.url, "index.name": name})
    fields = make_plan(settings, open_source(str(rows))).fields
    messages: list[str] = []
    cluster = await connect(engine)

    try:
        creations = (_create(cluster, settings, fields, HashEncoder(), messages.append) for _ in range(2))
        opened = await asyncio.gather(*creations)
    finally:
        await cluster.close()
        await drop(engine, name)

    assert [index.name for index in opened] == [name] * 2
    assert opened[0].schema == opened[1].schema
    assert [line for line in messages if "going on with it" in line] != []
