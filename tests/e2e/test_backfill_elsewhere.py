"""`connector backfill` where the index itself is only read: beside it, and into a new one that takes its name."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.indices.scratch import engine_client, unique_name
from support.parts import wait_until
from support.programs.command import UNHURRIED, Finished, Launcher, flat

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


def test_what_is_called_by_an_alias_is_the_new_index_in_the_end(
    launcher: Launcher, opensearch: ClusterSettings, notes: str, tmp_path: Path
) -> None:
    alias, new = f"{notes}-alias", f"{notes}-2"
    url = f"{opensearch.url}/_aliases"
    httpx.post(url, json={"actions": [{"add": {"index": notes, "alias": alias}}]}, timeout=60).raise_for_status()

    def into(*words: str) -> Finished:
        return launcher.run("backfill", alias, "--into", new, *words, "--cluster", opensearch.url, cwd=tmp_path)

    refused = into("--no-swap", "--block-writes", "--yes")
    copied = into("--no-swap", "--yes", "--json")
    unasked, blocking = into(), into("--block-writes")
    with engine_client(opensearch) as client:
        limit = "index.mapping.nested_objects.limit"
        client.put(f"/{new}/_settings", json={limit: 0}).raise_for_status()
        client.put(f"/{notes}/_doc/rooms?refresh=true", json=NOTES["rooms"] | {"body": "New."}).raise_for_status()
        partly = into("--yes")
        stayed = client.get(f"/_alias/{alias}").json()
        client.put(f"/{new}/_settings", json={limit: None}).raise_for_status()
    switched = into("--yes", "--json")
    called = httpx.get(f"{opensearch.url}/_alias/{alias}", timeout=60).json()

    assert (refused.code, copied.code, unasked.code, switched.code) == (2, 0, 2, 0), switched.stderr
    assert "--block-writes is for the moment in which the new index takes the place; add --swap" in flat(refused.stderr)
    assert f"nothing is switched; {notes} goes on to answer searches" in flat(copied.stderr)
    assert json.loads(copied.stdout)["switched"] is None
    assert f"the index {new} is gone on with" in flat(unasked.stderr)
    assert f"what is called {alias} is {new}, in one call; {notes} stays as it is" in flat(unasked.stderr)
    assert "--block-writes rules that out" in flat(unasked.stderr)
    assert "answered with 403" in flat(blocking.stderr)
    assert partly.code == 1, partly.stderr
    assert f"{new} did not take the place of {notes}: it was not filled whole" in flat(partly.stderr)
    assert list(stayed) == [notes]
    counts = json.loads(switched.stdout)["filled"]["counts"]
    assert (counts["unchanged"], counts["copied"]) == (len(NOTES) - 1, 1)
    assert list(called) == [new]


def test_vectors_beside_are_followed_until_the_end(
    launcher: Launcher, opensearch: ClusterSettings, notes: str, tmp_path: Path
) -> None:
    command = ("backfill", notes, "--beside", "--follow", "--state", ".", "--yes", "--cluster", opensearch.url)
    running = launcher.start(*command, "--set", "follow.every_s=0.1", "--report", "report.json", cwd=tmp_path)
    wait_until(lambda: bool([*tmp_path.glob(f"{notes}.*.follow.json")]))
    second = launcher.run(*command, cwd=tmp_path)
    with engine_client(opensearch) as client:
        client.put(f"/{notes}/_doc/late", json={"title": "Late", "body": "A note that came late."}).raise_for_status()
        vectors = f"/vectors-of-{notes}"
        wait_until(lambda: client.get(f"{vectors}/_count").json()["count"] == len(NOTES) + 1)
    os.kill(running.pid, signal.SIGTERM)
    done = running.wait()
    report = json.loads((tmp_path / "report.json").read_text())

    assert second.code == 2, second.stderr
    assert "and so follows this index already; end that one first" in flat(second.stderr)
    assert done.code == 143, done.stderr
    assert report["filled"]["counts"]["written"] == len(NOTES) + 1
