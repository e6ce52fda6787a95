"""What an ingest job and a search do while the cluster fails, on real engines. The table of
docs/explanation/failures.md says it in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import engines
import httpx
import pytest
from support.indices.scratch import drop, unique_name
from support.runs.effort import IS_SOAK
from support.servers.proxy import Fault, Proxy, Seen
from support.servers.running_engines import SHORT_LIVED

from connector.client import Connector
from connector.clusters.connect import connect
from connector.clusters.indices.mapping import build_index
from connector.errors import SearchFailed
from connector.ingest import job
from connector.ingest.report import JobReport
from connector.models.encoder import Encoder
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import build_schema

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("one_encoder")]
ROWS = 120
# each is started twice, and an OpenSearch takes twice the processor's time: what it says meanwhile a proxy says too
RESTARTED = [("elasticsearch", "9.3.2"), *([("opensearch", "2.19.1")] if IS_SOAK else [])]


@pytest.fixture(params=["elasticsearch", "opensearch"])
def either(request: pytest.FixtureRequest) -> ClusterSettings:
    """An engine of either kind."""
    found: ClusterSettings = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def name(either: ClusterSettings) -> AsyncIterator[str]:
    made = unique_name()
    yield made
    await drop(either, made)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"_id": f"d{at}", "title": f"Row {at}", "text": f"The {at} rule on refunds."} for at in range(ROWS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings_of(url: str, name: str, **more: Any) -> Settings:
    fields = {"fields.id": "_id", "fields.text": {"title": 1.0, "text": 1.0}}
    quick = {"ingest.group_documents": 20, "ingest.backoff_s": 0.05, "ingest.max_attempts": 8}
    return load_settings(
        environ={}, overrides={"cluster.url": url, "index.name": name, "search.rerank": "off"} | fields | quick | more
    )


async def run(source: Path, settings: Settings) -> JobReport:
    report = await job.run_job(str(source), settings, rejects=source.parent / "rejects.jsonl")
    counts = report.counts

    assert counts.read == counts.written + counts.unchanged + counts.failed + report.unfinished
    return report


async def set_blocks(engine: ClusterSettings, name: str, **blocks: bool) -> None:
    async with httpx.AsyncClient(base_url=engine.url, timeout=60) as client:
        body = {f"index.blocks.{block}": value or None for block, value in blocks.items()}
        (await client.put(f"/{name}/_settings", json=body)).raise_for_status()


async def stored(engine: ClusterSettings, name: str) -> int:
    async with httpx.AsyncClient(base_url=engine.url, timeout=60) as client:
        await client.post(f"/{name}/_refresh")
        return int((await client.get(f"/{name}/_count")).raise_for_status().json()["count"])


def every(count: int, fault: Fault, *, times: int = 10**6) -> Any:
    """A fault on each `count`-th bulk request, so many times at most."""
    bulks = 0

    def decide(seen: Seen) -> Fault | None:
        nonlocal bulks, times
        if not seen.is_bulk:
            return None
        bulks += 1
        if bulks % count or not times:
            return None
        times -= 1
        return fault

    return decide


@pytest.mark.parametrize("fault", ["refuse", "unavailable", "reset", "half", "garbage"])
async def test_what_passes_by_itself_costs_an_ingest_nothing(
    either: ClusterSettings, name: str, source: Path, fault: Fault
) -> None:
    async with Proxy(either.url, every(2, fault)) as proxy:
        report = await run(source, settings_of(proxy.url, name))

    assert report.ok, report
    assert (report.counts.written, report.counts.failed) == (ROWS, 0)
    assert sum(request.is_bulk for request in proxy.seen) > ROWS / 20  # some were sent again
    assert await stored(either, name) == ROWS


async def test_a_stalled_bulk_request_is_sent_again(either: ClusterSettings, name: str, source: Path) -> None:
    async with Proxy(either.url, every(2, "stall", times=1)) as proxy:
        report = await run(source, settings_of(proxy.url, name, **{"cluster.timeout_s": 5.0}))

    assert report.ok, report
    assert await stored(either, name) == ROWS


async def test_elasticsearch_is_given_the_time_it_asks_for(elasticsearch: ClusterSettings, source: Path) -> None:
    name = unique_name()
    async with Proxy(elasticsearch.url, every(1, "wait", times=1)) as proxy:
        report = await run(source, settings_of(proxy.url, name))
    await drop(elasticsearch, name)

    assert report.ok
    assert report.seconds >= 2.0


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write", "read_only"])
async def test_an_index_that_takes_no_writes_stops_the_job_and_fails_no_document(
    either: ClusterSettings, name: str, source: Path, block: str
) -> None:
    """`read_only_allow_delete` is what the engine itself sets when a disk passes the flood stage."""
    settings = settings_of(either.url, name)
    rows = source.read_text()
    source.write_text("".join(rows.splitlines(keepends=True)[:20]))
    await run(source, settings)
    source.write_text(rows)
    await set_blocks(either, name, **{block: True})
    report = await run(source, settings)

    assert report.stopped is not None
    assert "the index takes no writes" in report.stopped
    assert "flood stage" in report.stopped
    assert (report.counts.failed, report.counts.written) == (0, 0)
    assert report.rejects is None

    await set_blocks(either, name, **{block: False})
    again = await run(source, settings)

    assert (again.counts.written, again.counts.unchanged, again.ok) == (ROWS - 20, 20, True)


async def test_a_block_that_is_lifted_in_time_costs_only_time(either: ClusterSettings, name: str, source: Path) -> None:
    patient = {"ingest.max_attempts": 10, "ingest.backoff_s": 0.2, "ingest.writers": 1}
    first = source.parent / "first.jsonl"
    first.write_text("".join(source.read_text().splitlines(keepends=True)[:20]))
    await run(first, settings_of(either.url, name))
    await set_blocks(either, name, read_only_allow_delete=True)
    is_tried_again = asyncio.Event()

    def watch(seen: Seen) -> None:
        if sum(request.is_bulk or request.path == "/_aliases" for request in proxy.seen) > 2:
            is_tried_again.set()

    async with Proxy(either.url, watch) as proxy:
        running = asyncio.create_task(run(source, settings_of(proxy.url, name, **patient)))
        await asyncio.wait([running, asyncio.create_task(is_tried_again.wait())], return_when=asyncio.FIRST_COMPLETED)
        await set_blocks(either, name, read_only_allow_delete=False)
        report = await running

    assert report.ok, report
    assert report.counts.retried > 0
    assert await stored(either, name) == ROWS


async def test_a_red_index_is_told_as_such(either: ClusterSettings, name: str, source: Path, encoder: Encoder) -> None:
    settings = settings_of(either.url, name, **{"search.deadline_s": 120.0})
    schema = build_schema(settings, Fields(text={"title": 1.0, "text": 1.0}, id="_id"), encoder.fingerprint)
    cluster = await connect(either)
    body = build_index(cluster.engine, schema)
    await cluster.close()
    body["settings"]["index"]["routing.allocation.require._name"] = "no node of this name"
    async with httpx.AsyncClient(base_url=either.url, timeout=60) as client:
        made = await client.put(f"/{name}", json=body, params={"wait_for_active_shards": "0"})
        made.raise_for_status()
    async with await Connector.open(settings) as connector:
        with pytest.raises(SearchFailed, match="all shards failed"):
            await connector.search("refunds")
    report = await run(source, settings_of(either.url, name, **{"cluster.timeout_s": 5.0, "ingest.max_attempts": 2}))

    assert report.stopped
    assert report.counts.failed == 0


@pytest.mark.parametrize(("kind", "version"), RESTARTED)
@pytest.mark.timeout(400)
async def test_a_node_that_restarts_in_mid_ingest_loses_nothing(
    kind: str, version: str, source: Path, own_engine: Any
) -> None:
    server = await asyncio.to_thread(own_engine, kind, version)
    name = unique_name()
    patient = {"ingest.max_attempts": 12, "ingest.backoff_s": 0.5, "ingest.writers": 1, "cluster.timeout_s": 10.0}
    killed = asyncio.Event()

    def watch(seen: Seen) -> None:
        if sum(request.is_bulk for request in proxy.seen) == 2 and not killed.is_set():
            engines.kill(server)
            killed.set()

    async with Proxy(server["url"], watch) as proxy:
        running = asyncio.create_task(run(source, settings_of(proxy.url, name, **patient)))
        await killed.wait()
        await asyncio.sleep(1.0)
        server |= await asyncio.to_thread(engines.launch, server, wait_s=240)
        report = await running

    assert report.ok, report
    assert report.counts.retried > 0
    assert await stored(ClusterSettings(url=server["url"]), name) == ROWS


@pytest.fixture
def own_engine() -> Iterator[Any]:
    """Starts an engine that a test may kill."""
    started: list[dict[str, Any]] = []

    def start(kind: str, version: str) -> dict[str, Any]:
        started.append(engines.start(kind, version, java_options=SHORT_LIVED[kind], in_memory=True, wait_s=240))
        return started[-1]

    yield start
    for server in started:
        engines.stop(server)
