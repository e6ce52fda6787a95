"""A followed table, whose command is killed at any moment while an application writes: at the end the index holds what
the table holds, no change is lost, and the command ends with an account of what it did."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from support.indices.scratch import drop, unique_name
from support.programs.command import Launcher, Running
from support.runs.effort import tries

from connector.settings.sections import ClusterSettings

KILLS = tries(1)
LIMIT_S = 120
ROWS = 40
PAUSE_S = 0.01  # between two writes of the application


class Application(threading.Thread):
    """Inserts, updates, deletes and renames rows until it is told to stop; each write carries a number."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self._database = database
        self._chance = random.Random(4)
        self.writes = 0
        self.is_stopped = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            while not self.is_stopped.wait(PAUSE_S):
                self.writes += 1
                key, text = self._chance.randrange(ROWS), f"write {self.writes}"
                match self._chance.randrange(6):
                    case 0:
                        connection.execute("DELETE FROM docs WHERE id = %s", [key])
                    case 1:
                        connection.execute(
                            "UPDATE docs SET id = %s, text = %s WHERE id = %s AND NOT EXISTS (SELECT 1 FROM docs "
                            "WHERE id = %s)",
                            [key + ROWS, text, key, key + ROWS],
                        )
                    case _:
                        connection.execute(
                            "INSERT INTO docs VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET text = excluded.text",
                            [key, text],
                        )


@pytest.fixture
async def index(elasticsearch: ClusterSettings) -> AsyncIterator[str]:
    name = unique_name()
    yield name
    await drop(elasticsearch, name)


@pytest.mark.live
async def test_a_killed_follower_loses_no_change(
    elasticsearch: ClusterSettings, index: str, database: str, launcher: Launcher, tmp_path: Path
) -> None:
    slot = database.rpartition("/")[2]
    source = ("ingest", database, "--table", "docs", "--slot", slot)
    arguments = (*source, "--cluster", elasticsearch.url, "--index", index, "--follow", "--json", "--report", "r.json")
    fast = ("--set", "follow.report_s=0.1", "--text", "text")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE docs (id int PRIMARY KEY, text text)")
        connection.execute("INSERT INTO docs SELECT n, 'at first' FROM generate_series(0, 9) AS n")
        application = Application(database)
        application.start()
        try:
            unasked = launcher.run(*arguments, cwd=tmp_path)
            for number in range(KILLS):
                running = launcher.start(*arguments, *fast, "--yes", cwd=tmp_path)
                await reach(running, lambda: steps(tmp_path) > 1)
                await asyncio.sleep(random.Random(number).random() * 0.3)
                running.kill()
                await asyncio.wrap_future(running.ended)
                (tmp_path / "r.json").unlink()
            measured = (*fast, "--metrics-port", "0")
            running = launcher.start(*arguments, *measured, cwd=tmp_path)  # what was made need not be agreed to again
            await reach(running, lambda: steps(tmp_path) > 1)
        finally:
            application.is_stopped.set()
            application.join()
        rows = {str(key): text for key, text in connection.execute("SELECT id, text FROM docs")}
        await reach(running, lambda: found_in(elasticsearch, index) == rows)
        figures = metrics_of(running)
        os.kill(running.pid, signal.SIGTERM)
        await asyncio.wrap_future(running.ended)
        done = running.wait()
        report = json.loads(done.stdout)
        dropped = launcher.run(*source, "--drop-slot", "--yes", cwd=tmp_path)
        left = connection.execute("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone()

    assert unasked.code == 2
    assert "agree with --yes" in unasked.stderr
    assert done.code == 143, done
    assert f'connector_follow_behind_seconds{{index="{index}"}}' in figures
    assert f'connector_follow_documents{{index="{index}",outcome="written"}}' in figures
    assert report["counts"]["failed"] == 0
    assert report["unfinished"] == 0
    assert report["counts"]["written"] + report["counts"]["unchanged"] == report["counts"]["read"]
    assert report["stopped"] == "SIGTERM was received"
    assert report["lag"]["unit"] == "bytes of WAL"
    assert dropped.stdout == f"dropped: slot {slot}, publication {slot}\n"
    assert left == (0,)


async def reach(running: Running, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert not running.ended.done(), running.wait()
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def metrics_of(running: Running) -> str:
    """What is served at the address that the command says."""
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/metrics", running.stderr())
    return httpx.get(url).text


def steps(folder: Path) -> int:
    """How many steps the command has taken, by its report so far."""
    report = folder / "r.json"
    return int(json.loads(report.read_text())["steps"]) if report.exists() else 0


def found_in(store: ClusterSettings, name: str) -> dict[str, Any]:
    """The text of each document as searches see it."""
    body = {"size": 1_000, "_source": ["text"]}
    found = httpx.post(f"{store.url}/{name}/_search", json=body, timeout=60).raise_for_status().json()
    return {hit["_id"]: hit["_source"]["text"] for hit in found["hits"]["hits"]}
