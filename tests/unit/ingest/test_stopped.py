"""An ingest that is told to stop: what is encoded is written, the rest is left, and the end comes in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from support.ingest.ingest_jobs import SETTINGS, IngestJobs, Unsteady, adds_up, docs
from support.parts import HashEncoder

from connector.errors import ClusterUnavailable
from connector.ingest.encoding import STEP_PASSAGES
from connector.types import IndexedDocument, Vectors, WriteOutcome


class Gated(HashEncoder):
    """An encoder that tells of each step and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(dims=4, max_tokens=10)
        self.begun, self.go = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.begun.set()
        assert self.go.wait(120)
        return super().encode(texts)


async def test_a_job_that_is_to_stop_writes_what_is_encoded_and_no_more(jobs: IngestJobs) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    running = asyncio.create_task(jobs.run(docs(*(f"d{at:02}" for at in range(40))), stop=stop, encoder=encoder))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("SIGTERM was received")
    encoder.go.set()
    report = await running

    assert report.stopped == "SIGTERM was received"
    assert report.counts.written == 3  # the group that was being encoded
    assert report.unfinished > 0
    assert adds_up(report)
    assert await jobs.ids() == ["d00", "d01", "d02"]
    assert (await jobs.run(docs(*(f"d{at:02}" for at in range(40))))).counts.written == 37


async def test_of_a_long_group_what_is_encoded_is_written_and_the_rest_left(jobs: IngestJobs) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    rows = docs(*(f"d{at:03}" for at in range(3 * STEP_PASSAGES)))
    wide = SETTINGS.model_copy(update={"group_documents": len(rows)})
    running = asyncio.create_task(jobs.run(rows, stop=stop, encoder=encoder, settings=wide))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("stop")
    encoder.go.set()
    report = await running

    assert len(encoder.encoded) == STEP_PASSAGES
    assert (report.counts.written, report.unfinished) == (STEP_PASSAGES, len(rows) - STEP_PASSAGES)
    assert adds_up(report)
    assert (await jobs.run(rows, settings=wide)).counts.unchanged == STEP_PASSAGES


async def test_a_document_of_which_some_passages_are_encoded_is_not_written(jobs: IngestJobs) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    encoder = Gated()
    long = " ".join(f"word{at}." for at in range(100 * STEP_PASSAGES))
    rows = [*docs("short"), {"_id": "long", "title": "Long", "text": long}]
    running = asyncio.create_task(jobs.run(rows, stop=stop, encoder=encoder))
    assert await asyncio.to_thread(encoder.begun.wait, 120)
    stop.set_result("stop")
    encoder.go.set()
    report = await running

    assert len(encoder.encoded) == STEP_PASSAGES  # the short one and the first passages of the long one
    assert (await jobs.ids(), report.unfinished) == (["short"], 1)


async def test_the_grace_ends_even_where_the_cluster_hangs(jobs: IngestJobs) -> None:
    class Hanging(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            hanging.set()
            await asyncio.Event().wait()
            return []

    hanging = asyncio.Event()
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    short = SETTINGS.model_copy(update={"grace_s": 0.2})
    running = asyncio.create_task(jobs.run(docs(*"abc"), index=Hanging(jobs.index), stop=stop, settings=short))
    await hanging.wait()
    stop.set_result("stop")
    report = await asyncio.wait_for(running, 120)

    assert (report.stopped, report.counts.written, report.unfinished) == ("stop", 0, 3)


@pytest.mark.parametrize("written", [0, 1])
async def test_the_end_of_a_stopped_job_waits_for_no_refresh(jobs: IngestJobs, written: int) -> None:
    class NeverRefreshed(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            if self.writes == written:
                raise ClusterUnavailable("no answer in time")
            return await super().write(documents)

        async def finish(self) -> None:
            await asyncio.Event().wait()

    index = NeverRefreshed(jobs.index)
    short = SETTINGS.model_copy(update={"grace_s": 0.2, "group_documents": 1, "writers": 1})
    report = await asyncio.wait_for(jobs.run(docs(*"abc"), index=index, settings=short), 120)

    assert (report.stopped, report.counts.written) == ("no answer in time", written)


async def test_a_stop_before_the_start_leaves_all_undone(jobs: IngestJobs) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop.set_result("stop")
    report = await jobs.run(docs(*"abc"), stop=stop)

    assert (report.stopped, report.counts.read) == ("stop", 0)


async def test_a_job_that_ends_before_it_can_stop_is_whole(jobs: IngestJobs) -> None:
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    report = await jobs.run(docs(*"abc"), stop=stop)

    assert (report.stopped, report.counts.written, report.ok) == (None, 3, True)
