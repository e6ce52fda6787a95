"""A job that is killed at any moment is simply run again: nothing is lost, doubled or half written."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import command
import httpx
import pytest
from proxy import Proxy, Seen
from scratch import drop, unique_name

from connector.clusters.connect import connect
from connector.config import ClusterSettings, Settings, load_settings
from connector.ingest import job
from connector.ingest.pipeline import Counts
from connector.models.encoder import Encoder

ROWS = 400
KILLS = 5
GROUP = 16
WORDS = ("refund sensor gateway partner deal invoice region carrier firmware contract margin renewal shipment alarm "
         "temperature warehouse audit rebate licence support").split()  # fmt: skip
SET = {"ingest.group_documents": GROUP, "index.vectors.index": "hnsw"}


def make_rows(seed: int = 5) -> list[dict[str, Any]]:
    """Short rows, every 20th long enough for several passages."""
    chance = random.Random(seed)

    def sentence() -> str:
        return " ".join(chance.choices(WORDS, k=10)).capitalize() + "."

    return [
        {
            "_id": f"row/{at}",
            "title": f"Row {at}",
            "text": " ".join(sentence() for _ in range(60 if at % 20 == 0 else 2)),
            "group": f"g{at % 7}",
        }
        for at in range(ROWS)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_rows(path, make_rows())
    return path


@pytest.fixture
async def names(elasticsearch: ClusterSettings, opensearch: ClusterSettings) -> AsyncIterator[tuple[str, str]]:
    """Two index names, one for the job that is killed and one for the job that is not, on either engine."""
    both = unique_name(), unique_name()
    yield both
    await drop(elasticsearch, *both)
    await drop(opensearch, *both)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings_of(engine: ClusterSettings, name: str) -> Settings:
    return load_settings(environ={}, overrides={"cluster.url": engine.url, "index.name": name} | SET)


@pytest.mark.live
@pytest.mark.timeout(600)
async def test_a_killed_job_is_run_again_to_the_same_end(
    elasticsearch: ClusterSettings,
    opensearch: ClusterSettings,
    names: tuple[str, str],
    source: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)
    killed, clean = names
    engines = (elasticsearch, opensearch)
    reports = await asyncio.gather(*(run_with_kills(one, killed, source, seed) for seed, one in enumerate(engines)))
    for engine, report in zip(engines, reports, strict=True):
        await run_in_process(engine, clean, source)
        left, expected = await contents(engine, killed), await contents(engine, clean)

        assert report["counts"]["failed"] == 0
        assert report["counts"]["written"] + report["counts"]["unchanged"] == ROWS
        assert report["counts"]["unchanged"] >= GROUP  # what earlier runs wrote was not written again
        assert left["documents"] == expected["documents"]
        assert set(left["documents"]) == {row["_id"] for row in make_rows()}
        assert left["parts"] == expected["parts"]  # a document and its passages: nothing twice, nothing left over
        assert await nearest(engine, killed, encoder) == await nearest(engine, clean, encoder)
        await check_runs_after(engine, killed, source)
        write_rows(source, make_rows())


async def run_with_kills(engine: ClusterSettings, name: str, source: Path, seed: int) -> dict[str, Any]:
    """The job, killed KILLS times, then run to its end; its last report.

    The first kill comes while the index is made, the others at some bulk request of the run, up to 0.3 s after it began."""
    chance = random.Random(seed)
    for number in range(KILLS):
        after = 0 if number == 0 else chance.randint(1, 4)
        await run_and_kill(engine, name, source, after=after, delay_s=chance.random() * 0.3)
    process = await start(engine.url, name, source)
    said, _ = await process.communicate()

    assert process.returncode == 0
    return dict(json.loads(said))


async def run_and_kill(engine: ClusterSettings, name: str, source: Path, *, after: int, delay_s: float) -> None:
    """Kill the job `delay_s` after its `after`-th bulk request arrived; 0 for the request that makes the index."""
    async with Proxy(engine.url) as proxy:
        reached = asyncio.Event()

        def watch(seen: Seen) -> None:
            is_it = seen.method == "PUT" if after == 0 else sum(one.is_bulk for one in proxy.seen) >= after
            if is_it:
                reached.set()

        proxy.fault = watch
        process = await start(proxy.url, name, source)
        ended = asyncio.create_task(process.wait())
        await asyncio.wait([ended, asyncio.create_task(reached.wait())], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(delay_s)

        assert not ended.done(), "the job ended before it was killed"
        process.send_signal(signal.SIGKILL)
        await ended


async def start(url: str, name: str, source: Path) -> asyncio.subprocess.Process:
    sets = [part for path, value in SET.items() for part in ("--set", f"{path}={value}")]
    arguments = ["ingest", str(source), "--cluster", url, "--index", name, "--json", *sets]
    return await asyncio.create_subprocess_exec(
        *command.CONNECTOR,
        *arguments,
        cwd=source.parent,
        env=command.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def run_in_process(engine: ClusterSettings, name: str, source: Path, **options: Any) -> Counts:
    rejects = source.parent / "rejects.jsonl"
    report = await job.run_job(str(source), settings_of(engine, name), rejects=rejects, **options)

    assert report.stopped is None
    return report.counts


async def check_runs_after(engine: ClusterSettings, name: str, source: Path) -> None:
    """The same job again writes nothing; a changed row replaces its passages; --delete-missing takes what is gone."""
    before, writes = await contents(engine, name), await writes_so_far(engine, name)
    again = await run_in_process(engine, name, source)
    after = await contents(engine, name)

    assert (again.written, again.unchanged, again.failed) == (0, ROWS, 0)
    assert after == before
    assert await writes_so_far(engine, name) == writes

    rows = make_rows()
    rows[40] |= {"text": "Now it is short."}
    write_rows(source, rows)
    changed = await run_in_process(engine, name, source)
    after = await contents(engine, name)

    assert (changed.written, changed.unchanged) == (1, ROWS - 1)
    assert len(before["documents"]["row/40"]["passages"]) > 1
    assert after["documents"]["row/40"]["passages"] == [{"ordinal": 0, "text": "Row 40\nNow it is short."}]
    assert after["parts"] == before["parts"] - len(before["documents"]["row/40"]["passages"]) + 1

    write_rows(source, rows[:300])
    kept = await run_in_process(engine, name, source)
    removed = await run_in_process(engine, name, source, delete_missing=True)
    after = await contents(engine, name)

    assert (kept.removed, removed.removed, removed.written) == (0, 100, 0)
    assert set(after["documents"]) == {row["_id"] for row in rows[:300]}


async def contents(engine: ClusterSettings, name: str) -> dict[str, Any]:
    """What an index holds: its documents without vectors, and how many parts Lucene counts (documents and passages)."""
    async with httpx.AsyncClient(base_url=f"{engine.url}/{name}", timeout=60) as client:
        await client.post("/_refresh")
        body = {"size": 2_000, "_source": {"excludes": ["passages.vector"]}}
        found = (await client.post("/_search", json=body)).raise_for_status().json()["hits"]["hits"]
        stats = (await client.get("/_stats/docs")).raise_for_status().json()
    assert len(found) == len({hit["_id"] for hit in found})
    return {
        "documents": {hit["_id"]: hit["_source"] for hit in found},
        "parts": stats["_all"]["primaries"]["docs"]["count"],
    }


async def writes_so_far(engine: ClusterSettings, name: str) -> int:
    async with httpx.AsyncClient(base_url=f"{engine.url}/{name}", timeout=60) as client:
        stats = (await client.get("/_stats/indexing")).raise_for_status().json()
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


async def nearest(engine: ClusterSettings, name: str, encoder: Encoder) -> list[tuple[str, float]]:
    """All documents by their nearest passage: shows that every vector is there."""
    cluster = await connect(engine)
    try:
        index = await cluster.open_index(name)
        vector = encoder.encode_query("firmware of a gateway")
        hits = await index.dense(vector, depth=ROWS, filter=None, timeout_s=30)
    finally:
        await cluster.close()
    return sorted((hit.doc_id, round(hit.score, 4)) for hit in hits)
