"""A job that is killed at any moment is simply run again: nothing is lost, doubled or half written."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.indices.scratch import drop, unique_name
from support.programs.command import Launcher, Running
from support.runs.effort import IS_SOAK, tries
from support.servers.proxy import Proxy, Seen

from connector.clusters.connect import connect
from connector.ingest import job
from connector.ingest.report import Counts
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings

ROWS = 400 if IS_SOAK else 160
LEFT = ROWS * 3 // 4  # in the end
KILLS = tries(3)
GROUP = 16
WORDS = [
    "refund",
    "sensor",
    "gateway",
    "partner",
    "deal",
    "invoice",
    "region",
    "carrier",
    "firmware",
    "contract",
    "margin",
    "renewal",
    "shipment",
    "alarm",
    "temperature",
    "warehouse",
    "audit",
    "rebate",
    "licence",
    "support",
]
SET = {"ingest.group_documents": GROUP, "passages.max_tokens": 48}


def make_rows(seed: int = 5) -> list[dict[str, Any]]:
    """Short rows, every 40th long enough for several passages."""
    chance = random.Random(seed)

    def sentence() -> str:
        return " ".join(chance.choices(WORDS, k=6)).capitalize() + "."

    return [
        {
            "_id": f"row/{at}",
            "title": f"Row {at}",
            "text": " ".join(sentence() for _ in range(20 if at % 40 == 0 else 1)),
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


def settings_of(store: ClusterSettings, name: str) -> Settings:
    return load_settings(environ={}, overrides={"cluster.url": store.url, "index.name": name} | settings_for(store.url))


def settings_for(url: str) -> dict[str, Any]:
    """What is set for a store: small groups and passages, and vectors that are searched exactly."""
    return SET | ({} if url.startswith("embedded") else {"index.vectors.index": "hnsw"})


@pytest.mark.live
@pytest.mark.timeout(600)
async def test_a_killed_job_is_run_again_to_the_same_end(
    elasticsearch: ClusterSettings,
    opensearch: ClusterSettings,
    launcher: Launcher,
    names: tuple[str, str],
    source: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)
    killed, clean = names
    engines = (elasticsearch, opensearch)
    reports = await asyncio.gather(
        *(run_with_kills(launcher, cluster, killed, source, seed) for seed, cluster in enumerate(engines))
    )
    for engine, report in zip(engines, reports, strict=True):
        await run_in_process(engine, clean, source)
        left, expected = await contents(engine, killed), await contents(engine, clean)

        assert report["counts"]["failed"] == 0
        assert report["counts"]["written"] + report["counts"]["unchanged"] == ROWS
        assert report["counts"]["unchanged"] >= GROUP  # what earlier runs wrote was not written again
        assert left["documents"] == expected["documents"]
        assert set(left["documents"]) == {row["_id"] for row in make_rows()}
        assert left["parts"] == expected["parts"]  # a document and its passages: nothing twice, nothing left over
        assert await found_in(engine, killed, encoder) == await found_in(engine, clean, encoder)
        await check_runs_after(engine, killed, source)
        write_rows(source, make_rows())


@pytest.mark.timeout(600)
async def test_the_embedded_store_survives_kills_too(
    embedded: ClusterSettings, launcher: Launcher, source: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)
    killed, clean = unique_name(), unique_name()
    report = await run_with_kills(launcher, embedded, killed, source, seed=2)
    await run_in_process(embedded, clean, source)
    left, expected = await rows_of(embedded, killed), await rows_of(embedded, clean)
    again = await run_in_process(embedded, killed, source)

    assert report["counts"]["unchanged"] >= GROUP
    assert len(left) == ROWS
    assert left == expected
    assert await found_in(embedded, killed, encoder) == await found_in(embedded, clean, encoder)
    assert (again.written, again.unchanged) == (0, ROWS)
    await drop(embedded, killed, clean)


async def test_an_embedded_index_whose_making_was_killed_is_completed(
    embedded: ClusterSettings, source: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lancedb

    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)
    whole, half = unique_name(), unique_name()
    await run_in_process(embedded, whole, source)
    connection = await lancedb.connect_async(embedded.url.removeprefix("embedded:"))
    made = await connection.open_table(whole)
    await connection.create_table(half, schema=await made.schema())  # what comes first, and nothing after it
    connection.close()
    counts = await run_in_process(embedded, half, source)

    assert counts.written == ROWS
    assert await found_in(embedded, half, encoder) == await found_in(embedded, whole, encoder)
    await drop(embedded, whole, half)


async def run_with_kills(
    launcher: Launcher, store: ClusterSettings, name: str, source: Path, seed: int
) -> dict[str, Any]:
    """The job, killed KILLS times, then run to its end; its last report.

    The first kill comes while the index is made, the others up to 0.3 s after some write of the run began."""
    chance, killed = random.Random(seed), 0
    for number in range(KILLS):
        writes = 0 if number == 0 else chance.randint(1, 4)
        async with watched(store, writes) as (url, reached):
            delay_s = chance.random() * (0.3 if writes else 0.02)
            running = start(launcher, url, name, source, seed)
            killed += await run_and_kill(running, reached, delay_s=delay_s)
    running = start(launcher, store.url, name, source, seed)
    await asyncio.wrap_future(running.ended)
    done = running.wait()

    assert done.code == 0, done
    assert killed
    return dict(json.loads(done.stdout))


async def run_and_kill(running: Running, reached: asyncio.Event, *, delay_s: float) -> bool:
    """Kill the job `delay_s` after the moment is reached; whether it had not ended by itself before, as it may where
    this process stood still meanwhile."""
    ended, moment = asyncio.wrap_future(running.ended), asyncio.create_task(reached.wait())
    await asyncio.wait([ended, moment], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(delay_s)

    is_killed = not ended.done()
    if is_killed:
        running.kill()
    code = await ended

    assert is_killed or code == 0, running.wait()
    return is_killed


@asynccontextmanager
async def watched(store: ClusterSettings, writes: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A URL of the store, and an event that is set when so many writes have begun through it; 0: the making of the
    index."""
    reached = asyncio.Event()
    if store.url.startswith("embedded"):
        polling = asyncio.create_task(_poll(Path(store.url.removeprefix("embedded:")), writes, reached))
        try:
            yield store.url, reached
        finally:
            polling.cancel()
        return
    async with Proxy(store.url) as proxy:

        def watch(seen: Seen) -> None:
            if seen.method == "PUT" if writes == 0 else sum(request.is_bulk for request in proxy.seen) >= writes:
                reached.set()

        proxy.fault = watch
        yield proxy.url, reached


async def _poll(folder: Path, writes: int, reached: asyncio.Event) -> None:
    """Watch the versions of the tables in the folder of an embedded store."""
    before = sum(1 for _ in folder.glob("*.lance/_versions/*"))
    # a folder sets no event
    while sum(1 for _ in folder.glob("*.lance/_versions/*")) - before <= writes:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    reached.set()


def start(launcher: Launcher, url: str, name: str, source: Path, seed: int) -> Running:
    """With rejects of its own, beside those of the same job on another engine."""
    sets = [part for path, value in settings_for(url).items() for part in ("--set", f"{path}={value}")]
    arguments = ["ingest", str(source), "--cluster", url, "--index", name, "--json", *sets]
    arguments += ["--rejects", f"{seed}.rejects.jsonl"]
    return launcher.start(*arguments, cwd=source.parent)


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

    write_rows(source, rows[:LEFT])
    kept = await run_in_process(engine, name, source)
    removed = await run_in_process(engine, name, source, delete_missing=True)
    after = await contents(engine, name)

    assert (kept.removed, removed.removed, removed.written) == (0, ROWS - LEFT, 0)
    assert set(after["documents"]) == {row["_id"] for row in rows[:LEFT]}


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


async def rows_of(store: ClusterSettings, name: str) -> dict[str, Any]:
    """The fields and hashes of an embedded index, by document; each exactly once."""
    cluster = await connect(store)
    try:
        index = await cluster.open_index(name)
        doc_ids = [doc_id async for doc_id, _ in index.scan()]
        assert len(doc_ids) == len(set(doc_ids)) == await cluster.count(name)
        return await index.get(doc_ids, fields=["content_hash", "title", "text", "passages"], timeout_s=30)
    finally:
        await cluster.close()


async def writes_so_far(engine: ClusterSettings, name: str) -> int:
    async with httpx.AsyncClient(base_url=f"{engine.url}/{name}", timeout=60) as client:
        stats = (await client.get("/_stats/indexing")).raise_for_status().json()
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


async def found_in(engine: ClusterSettings, name: str, encoder: Encoder) -> tuple[list[tuple[str, float]], list[str]]:
    """What either leg finds: every document's cosine, and the documents that hold a word. Shows that all is
    searchable."""
    cluster = await connect(engine)
    try:
        index = await cluster.open_index(name)
        query = "firmware of a gateway"
        by_vector = await index.dense(encoder.encode_query(query), depth=ROWS, filter=None, timeout_s=30)
        by_words = (await index.lexical(LexicalQuery(query), depth=ROWS, filter=None, timeout_s=30)).ranking
    finally:
        await cluster.close()
    assert len(by_vector) == ROWS
    return sorted((hit.doc_id, round(hit.score, 4)) for hit in by_vector), sorted(hit.doc_id for hit in by_words)
