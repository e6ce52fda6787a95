"""`connector backfill` as a user calls it: it asks, fills, is found by a search, and goes out again."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.indices.scratch import engine_client, send_bulk, unique_name
from support.programs.command import UNHURRIED, Launcher, flat
from support.servers.proxy import Proxy, Seen

from connector.settings.sections import ClusterSettings

ROWS = {
    "p1": {"name": "Cold room sensor", "text": "It measures the temperature of a cold room twice an hour."},
    "p2": {"name": "Gateway", "text": "It must run the current firmware to be supported."},
    "p3": {"price": 3},
}
MANY = 200  # rows more, which a job writes in some 25 requests


@pytest.fixture
def shop(opensearch: ClusterSettings) -> Iterator[str]:
    """An alias of an index that an application made."""
    index, alias = unique_name(), unique_name()
    text = {"type": "text"}
    body = {
        "settings": {"index.knn": True},
        "mappings": {"properties": {"name": text, "text": text, "price": {"type": "integer"}}},
        "aliases": {alias: {}},
    }
    with engine_client(opensearch) as client:
        client.put(f"/{index}", json=body).raise_for_status()
        for doc_id, row in ROWS.items():
            client.put(f"/{index}/_doc/{doc_id}?refresh=true", json=row).raise_for_status()
        yield alias
        client.delete(f"/{index}")


def sources(url: str, name: str) -> dict[str, Any]:
    hits = httpx.post(f"{url}/{name}/_search", json={}, timeout=60).raise_for_status().json()["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.mark.live
def test_an_index_is_filled_searched_and_emptied_again(
    opensearch: ClusterSettings, shop: str, launcher: Launcher, tmp_path: Path
) -> None:
    at = ("--cluster", opensearch.url)
    planned = launcher.run("backfill", shop, *at, "--dry-run", cwd=tmp_path)
    described = launcher.run("backfill", shop, *at, "--dry-run", "--json", cwd=tmp_path)
    [found] = json.loads(described.stdout)

    assert (planned.code, described.code) == (0, 0), planned.stderr + described.stderr
    assert f"index {found['index']} would be filled where it is; nothing was written" in planned.stdout
    assert "its mapping would get passages, passages_of, and a note in _meta" in planned.stdout
    assert (found["in_place"], found["obstacles"], found["ways"]) == (True, [], ["into", "beside"])
    assert "alias" in {concern["rule"] for concern in found["concerns"]}
    assert set(found["mapping"]["properties"]) == {"passages", "passages_of"}
    figures = found["estimate"]
    assert {name: figures[name] for name in ("documents", "without_text", "passages")} == {
        "documents": 3, "without_text": 1, "passages": 2,
    }  # fmt: skip
    assert figures["disk_bytes"] == figures["vector_bytes"] + figures["source_bytes"] + figures["text_bytes"]
    assert figures["seconds"] == max(figures["encode_s"], figures["write_s"])

    asked = launcher.run("backfill", shop, *at, cwd=tmp_path)
    untouched = sources(opensearch.url, shop)

    assert asked.code == 2
    assert "only with --yes" in flat(asked.stderr)
    assert "the nested field 'passages'" in flat(asked.stderr)
    assert untouched == ROWS

    filled = launcher.run("backfill", shop, *at, "--yes", "--json", "--report", "report.json", cwd=tmp_path)
    report = json.loads(filled.stdout)
    counts = report["indices"][0]["counts"]
    asked_for = ("which firmware has a gateway", "--index", shop, "--no-rerank", "--json", *UNHURRIED)
    found = launcher.run("search", *asked_for, *at, cwd=tmp_path)
    hits = json.loads(found.stdout)["hits"]

    assert (filled.code, report["exit_code"]) == (0, 0)
    assert {name: counts[name] for name in ("found", "written", "without_text", "passages")} == {
        "found": 3, "written": 2, "without_text": 1, "passages": 2,
    }  # fmt: skip
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert hits[0]["doc_id"] == "p2"
    assert set(hits[0]["explain"]["legs"]) == {"lexical", "dense"}
    assert hits[0]["passage"]["text"] == "Gateway\nIt must run the current firmware to be supported."
    assert hits[0]["fields"] == ROWS["p2"]

    emptied = launcher.run("backfill", shop, *at, "--undo", "--yes", cwd=tmp_path)
    nothing = launcher.run("backfill", shop, *at, "--undo", "--yes", cwd=tmp_path)

    assert emptied.code == 0, emptied.stderr
    assert "no engine takes a field back" in flat(emptied.stderr)
    assert sources(opensearch.url, shop) == ROWS
    assert nothing.code == 2
    assert "nothing to take out" in flat(nothing.stderr)


@pytest.mark.live
async def test_a_back_fill_and_an_undo_that_are_told_to_end_say_so_and_go_on_the_next_time(
    opensearch: ClusterSettings, shop: str, launcher: Launcher, tmp_path: Path
) -> None:
    lines = [line for at in range(MANY) for line in ({"index": {"_id": f"m{at}"}}, {"text": f"Sensor number {at}."})]
    command = ("backfill", shop, "--yes", "--set", "ingest.group_documents=8")

    async def stopped(*more: str) -> dict[str, Any]:
        """The report of the command, which gets a signal with its third request that writes."""

        def kill_it(seen: Seen) -> None:
            if seen.is_bulk and sum(earlier.is_bulk for earlier in proxy.seen) == 3:
                running.kill(signal.SIGTERM)

        async with Proxy(opensearch.url, kill_it) as proxy:
            at = ("--cluster", proxy.url, "--report", "report.json")
            running = launcher.start(*command, *more, *at, cwd=tmp_path)
            done = await asyncio.to_thread(running.wait)
        report = json.loads((tmp_path / "report.json").read_text())
        assert (done.code, report["exit_code"]) == (143, 143), done.stderr
        [of_index] = report["indices"]
        assert of_index["stopped"] == "SIGTERM was received"
        return dict(of_index)

    async def ended(*more: str) -> dict[str, Any]:
        at = ("--cluster", opensearch.url, "--json")
        done = await asyncio.to_thread(launcher.run, *command, *more, *at, cwd=tmp_path)
        assert done.code == 0, done.stderr
        return dict(json.loads(done.stdout)["indices"][0])

    with engine_client(opensearch) as client:
        send_bulk(client, f"/{shop}/_bulk?refresh=true", lines)
    filled, rest = (await stopped())["counts"], (await ended())["counts"]
    undone, others = await stopped("--undo"), await ended("--undo")
    with engine_client(opensearch) as client:
        client.post(f"/{shop}/_refresh").raise_for_status()
        left = client.get(f"/{shop}/_count", params={"q": "_exists_:passages_of"}).json()["count"]

    assert 0 < filled["written"] < MANY
    assert filled["written"] == rest["unchanged"]
    assert filled["written"] + rest["written"] == MANY + 2
    assert 0 < undone["anew"] < MANY
    assert undone["anew"] + others["anew"] == MANY + len(ROWS)
    assert left == 0


def test_the_embedded_store_is_not_back_filled(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run("backfill", "docs", "--yes", cwd=tmp_path)
    wrong = launcher.run("backfill", "docs", "--text", "title^two", cwd=tmp_path)

    assert done.code == 2
    assert "ingest into the embedded store" in done.stderr
    assert wrong.code == 2
    assert "FIELD^BOOST" in wrong.stderr
