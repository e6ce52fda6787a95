"""`connector backfill` where the index itself is only read: beside it, and into a new one that takes its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.command import UNHURRIED, Finished, Launcher
from support.scratch import engine_client, unique_name

from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live
TEXT = {"type": "text"}
NOTES = {
    "rooms": {"title": "Cold rooms", "body": "The temperature of a cold room is checked twice a day.", "tier": "gold"},
    "deals": {"title": "Partner programme", "body": "A registered deal is protected for ninety days.", "tier": "tin"},
    "closed": {
        "title": "Holiday calendar",
        "body": "Offices are closed between Christmas and New Year.",
        "tier": "tin",
    },
}


@pytest.fixture
def notes(opensearch: ClusterSettings) -> Iterator[str]:
    """Somebody's index of notes."""
    name = unique_name()
    properties = {"title": TEXT, "body": TEXT, "tier": {"type": "keyword"}}
    with engine_client(opensearch) as client:
        client.put(f"/{name}", json={"mappings": {"properties": properties}}).raise_for_status()
        for doc_id, note in NOTES.items():
            client.put(f"/{name}/_doc/{doc_id}?refresh=true", json=note).raise_for_status()
        yield name
        for index in (f"vectors-of-{name}", f"{name}-2", name):
            client.delete(f"/{index}")


def test_both_ways_from_the_command_to_the_search(
    launcher: Launcher, opensearch: ClusterSettings, notes: str, tmp_path: Path
) -> None:
    def connector(*words: str, code: int = 0) -> Finished:
        done = launcher.run(*words, "--cluster", opensearch.url, cwd=tmp_path)
        assert done.code == code, done.stderr
        return done

    def search(*words: str) -> list[dict[str, Any]]:
        done = connector(
            *("search", "offices shut at Christmas holidays", "--index", notes, "--no-rerank", "--json", *UNHURRIED),
            *words,
        )
        hits: list[dict[str, Any]] = json.loads(done.stdout)["hits"]
        return hits

    planned = connector("backfill", notes, "--beside", "--dry-run", "--json")
    unasked = connector("backfill", notes, "--beside", code=2)
    beside = json.loads(connector("backfill", notes, "--beside", "--yes", "--json").stdout)
    found, filtered = search(), search("--filter", "tier=gold")
    looked = connector("doctor", "--index", notes, "--set", "search.rerank=off", "--json")
    checks = {finding["check"]: finding for finding in json.loads(looked.stdout)["findings"]}

    plan = json.loads(planned.stdout)
    assert plan["index"] == notes
    assert plan["changes"][0] == f"index {notes} (3 documents) is only read"
    assert plan["changes"][1].startswith(f"- the index vectors-of-{notes} is made")
    assert "is only read" in unasked.stderr
    assert (beside["ok"], beside["other"], beside["filled"]["counts"]["written"]) == (True, f"vectors-of-{notes}", 3)
    assert found[0]["doc_id"] == "closed"
    assert "dense" in found[0]["explain"]["legs"]
    assert [hit["doc_id"] for hit in filtered] == ["rooms"]
    assert checks["documents"]["facts"]["held"] == 3
    assert checks["encoder of the index"]["status"] == "ok"

    refused = connector("backfill", notes, "--into", f"{notes}-2", "--swap", "--yes", code=2)
    into = connector("backfill", notes, "--into", f"{notes}-2", "--swap", "--block-writes", "--yes")

    assert "--block-writes" in refused.stderr
    assert f"{notes}-2 takes the name {notes}, and THE OLD INDEX IS DELETED" in into.stderr
    names, _, row = (line.replace("┃", "│").split("│") for line in into.stdout.splitlines()[1:4])
    table = dict(zip((name.strip() for name in names), (cell.strip() for cell in row), strict=True))
    assert into.stdout.startswith(f"{notes} at {opensearch.url}")
    assert (table["into"], table["copied"], table["passages"], table["late"]) == (f"{notes}-2", "3", "3", "0")
    assert float(table["blocked s"]) > 0
    assert list(httpx.get(f"{opensearch.url}/{notes}/_mapping", timeout=60).json()) == [f"{notes}-2"]
    again = search()
    assert (again[0]["doc_id"], again[0]["passage"]["text"]) == ("closed", found[0]["passage"]["text"])
