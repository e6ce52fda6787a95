"""`connector backfill` and then `connector follow`, as processes: a document is found by the text that it has now."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import httpx
from support.indices.somebody import TEXT, Somebody
from support.programs.command import UNHURRIED, Launcher, Running

from connector.clusters.connect import connect
from connector.settings.sections import ClusterSettings

PATIENCE_S = 120


def read_marker_of(somebody: Somebody, index: str, doc_id: str) -> Any:
    return somebody.send("GET", f"/{index}/_doc/{doc_id}")["_source"].get("passages_of")


def wait_for(running: Running, reached: Any) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (found := reached()):
        assert not running.ended.done(), running.wait().stderr
        assert time.monotonic() < end, running.stderr()
        time.sleep(0.05)
    return found


def metrics_of(running: Running) -> dict[str, float]:
    """The figures at the address that the command says it serves them on."""
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/metrics", running.stderr())[:1] or ("",)
    if not url:
        return {}
    lines = httpx.get(url).text.splitlines()
    return {line.split("{")[0]: float(line.split()[-1]) for line in lines if line.startswith("connector_follow_behind")}


async def test_an_index_is_followed_from_the_command_line(
    elasticsearch: ClusterSettings, launcher: Launcher, tmp_path: Path
) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    index = somebody.make(
        {"properties": {"title": TEXT, "body": TEXT}},
        {"_id": "shelf", "title": "Shelves", "body": "A shelf carries forty kilograms."},
        {"_id": "door", "title": "Doors", "body": "A door closes by itself."},
    )
    common = ("--cluster", elasticsearch.url, "--set", "log.format=json", *UNHURRIED)
    early = launcher.run("follow", index, *common, cwd=tmp_path)
    filled = launcher.run("backfill", index, "--yes", *common, cwd=tmp_path)
    running = launcher.start(
        "follow", index, "--every", "0.1", "--metrics-port", "0", "--report", "report.json", *common, cwd=tmp_path
    )
    wait_for(running, lambda: [*tmp_path.glob(f"{index}.*.follow.json")])
    before = read_marker_of(somebody, index, "door")
    somebody.send("POST", f"/{index}/_update/door", {"doc": {"body": "A fire door must never be wedged open."}})
    after = wait_for(running, lambda: (now := read_marker_of(somebody, index, "door")) != before and now)
    figures = wait_for(running, lambda: (now := metrics_of(running)) and not any(now.values()) and now)
    os.kill(running.pid, signal.SIGTERM)
    done = running.wait()
    found = launcher.run("search", "may I keep the fire door open", "--index", index, "--json", *common, cwd=tmp_path)
    somebody.leave()
    await somebody.cluster.close()

    assert early.code == 2
    assert f"connector backfill {index}" in early.stderr
    assert filled.code == 0, filled.stderr
    assert before[-1] != after[-1]
    assert set(figures) == {"connector_follow_behind_operations", "connector_follow_behind_seconds"}
    assert done.code == 143, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    counts = report["indices"][0]["counts"]
    assert report["exit_code"] == 143
    assert counts["written"] + counts["again"] == 1  # the former where the first look met only the new text
    assert json.loads(found.stdout)["hits"][0]["doc_id"] == "door", found.stdout
