"""`connector judge queries --from-index`: the queries that an index keeps, counted by its engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name
from typer.testing import CliRunner

from connector.cli.app import app
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import ClusterError, IndexMissing, SettingsError
from connector.judging.logs import live
from connector.settings.sections import ClusterSettings


@pytest.fixture
def index(engine: ClusterSettings) -> Iterator[str]:
    """As OpenSearch's plugin maps it: the text of a query is a keyword."""
    name = unique_name()
    asyncio.run(_fill(engine, name))
    yield name
    asyncio.run(drop(engine, name))


async def _fill(engine: ClusterSettings, name: str) -> None:
    cluster = await connect(engine)
    assert isinstance(cluster, RestCluster)
    mapping = {"properties": {"user_query": {"type": "keyword"}, "application": {"type": "text"}}}
    body = {"mappings": mapping, "settings": {"number_of_replicas": 0}}
    await cluster.client.request("PUT", f"/{name}", body=body, timeout_s=60)
    for text, times in (("red shoes", 3), ("Red Shoes", 1), ("hats", 2), ("anna@example.org", 1)):
        for _ in range(times):
            await cluster.client.request(
                "POST", f"/{name}/_doc", body={"user_query": text, "application": "a"}, timeout_s=60
            )
    await cluster.client.request("POST", f"/{name}/_refresh", timeout_s=60)
    await cluster.close()


def test_each_query_comes_once_with_its_count(
    engine: ClusterSettings, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PAGE", 2)  # so that there is a second one
    place = ["judge", "queries", "--cluster", engine.url, "--out"]
    done = CliRunner().invoke(app, [*place, str(tmp_path / "judged"), "--from-index", index, "--json"])
    facts = json.loads(done.stdout)
    rows = [json.loads(line) for line in (tmp_path / "judged" / "queries.jsonl").read_text().splitlines()]
    no_keyword = CliRunner().invoke(
        app, [*place, str(tmp_path / "text"), "--from-index", index, "--column", "application"]
    )
    nothing = CliRunner().invoke(app, [*place, str(tmp_path / "none"), "--from-index", f"{index}-none"])

    assert {row["text"]: row["frequency"] for row in rows} == {"red shoes": 4, "hats": 2}
    assert facts["entries"] == 4
    assert facts["personal"] == {"mail address": 1}
    assert isinstance(no_keyword.exception, ClusterError)
    assert "application" in str(no_keyword.exception)
    assert isinstance(nothing.exception, ClusterError | IndexMissing)


def test_the_embedded_store_keeps_no_queries(tmp_path: Path) -> None:
    refused = CliRunner().invoke(
        app,
        ["judge", "queries", "--from-index", "x", "--cluster", f"embedded:{tmp_path / 's'}", "--out", str(tmp_path)],
    )

    assert isinstance(refused.exception, SettingsError)
