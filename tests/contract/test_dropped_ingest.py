"""An index that is dropped while a job writes to it, and perhaps made anew, on all five stores: no write makes one in
its place or goes to the new one, and the job says what to do."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from support.parts import HashEncoder, schema_of

from connector.clusters.protocol import Cluster
from connector.errors import IndexMissing
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import JobReport
from connector.ingest.sources import Row
from connector.settings.sections import IngestSettings

SETTINGS = IngestSettings(group_documents=5, writers=2)
ENCODER = HashEncoder()
SCHEMA = schema_of(ENCODER, text={"text": 1.0}, metadata={"year": "integer"}, id="_id")
ROWS, BEFORE = 60, 20
GONE = "was deleted or made anew while it was in use, and what was written to it went with it; run this again"


def on_stores(*engines: str) -> pytest.MarkDecorator:
    """One of each kind: what each write does is in connector/contract."""
    marked = [pytest.param(name, marks=pytest.mark.live) for name in engines]
    return pytest.mark.parametrize("store", ["embedded", *marked], indirect=True)


class InterruptedRows:
    """A source: something happens after its first rows, once some of them are written."""

    id_field, alike, typed, progress = None, False, True, 0.0

    def __init__(self, interrupt: Callable[[], Awaitable[None]]) -> None:
        self.notes: Counter[str] = Counter()
        self.written = threading.Event()
        self.interrupted = asyncio.Event()
        self._interrupt = interrupt
        self._loop = asyncio.get_running_loop()

    def __iter__(self) -> Iterator[Row]:
        for number in range(ROWS):
            if number == BEFORE:
                assert self.written.wait(120)
                asyncio.run_coroutine_threadsafe(self._call(), self._loop).result(120)
            yield Row({"_id": f"d{number}", "text": f"word{number} and more", "year": 1900 + number}, f"rows:{number}")

    async def _call(self) -> None:
        await self._interrupt()
        self.interrupted.set()


async def ingest(cluster: Cluster, name: str, folder: Path, interrupt: Callable[[], Awaitable[None]]) -> JobReport:
    """A job that is interrupted in its middle: it may end before the interruption does, which is waited for."""
    index = await cluster.create_index(name, SCHEMA)
    source = InterruptedRows(interrupt)
    job = IngestJob(
        source,
        index,
        ENCODER,
        SETTINGS,
        rejects=folder / "rejects.jsonl",
        on_progress=lambda counts: source.written.set() if counts.written else None,
    )
    report = await job.run()
    await asyncio.wait_for(source.interrupted.wait(), 120)
    return report


def assert_told(report: JobReport, name: str) -> None:
    """That each row that was read is accounted for, and that the job says why it ended."""
    counts = report.counts

    assert report.stopped == f"index {name!r} {GONE}"
    assert counts.read == counts.written + report.unfinished
    assert counts.written > 0
    assert report.unfinished > 0
    assert report.rejects is None


@on_stores("es8", "os3")
async def test_no_write_makes_it_anew(cluster: Cluster, index_name: str, tmp_path: Path) -> None:
    async def interrupt() -> None:
        await cluster.drop_index(index_name)

    report = await ingest(cluster, index_name, tmp_path, interrupt)

    assert_told(report, index_name)
    with pytest.raises(IndexMissing):
        await cluster.open_index(index_name)


@on_stores("es9", "os2")
async def test_nothing_is_written_to_another_one_of_its_name(cluster: Cluster, index_name: str, tmp_path: Path) -> None:
    async def interrupt() -> None:
        await cluster.drop_index(index_name)
        await cluster.create_index(index_name, SCHEMA)

    report = await ingest(cluster, index_name, tmp_path, interrupt)
    await (await cluster.open_index(index_name)).finish()

    assert_told(report, index_name)
    assert await cluster.count(index_name) == 0
