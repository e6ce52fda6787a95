"""An ingest into a cluster that refuses, floods or goes away: what is tried again, and what ends the job."""

from __future__ import annotations

from collections.abc import Sequence

from support.ingest.ingest_jobs import SETTINGS, IngestJobs, Unsteady, adds_up, docs

from connector.errors import ClusterError, ClusterUnavailable
from connector.settings.sections import IngestSettings
from connector.types import IndexedDocument, WriteOutcome


async def test_what_may_work_later_is_tried_again(jobs: IngestJobs) -> None:
    unsteady = Unsteady(jobs.index, refusals={"b": 1, "c": 2})

    report = await jobs.run(docs(*"abcd"), index=unsteady)

    assert (report.counts.written, report.counts.failed, report.counts.retried) == (4, 0, 3)
    assert await jobs.ids() == list("abcd")


async def test_a_large_document_that_is_never_taken_is_rejected_after_the_last_try(jobs: IngestJobs) -> None:
    unsteady = Unsteady(jobs.index, refusals={"b": 99}, large="b")

    report = await jobs.run(docs(*"abcd"), index=unsteady)

    assert (report.counts.written, report.counts.failed, report.stopped) == (3, 1, None)
    assert jobs.rejects()[0]["reason"] == "queue is full"
    assert 99 - unsteady.refusals["b"] == SETTINGS.max_attempts


async def test_a_flood_outlasts_the_tries_for_a_cluster_that_is_away(jobs: IngestJobs) -> None:
    """Two documents are put off three times as often as a cluster that does not answer would be asked."""
    often = 3 * SETTINGS.max_attempts

    report = await jobs.run(docs(*"abcd"), index=Unsteady(jobs.index, refusals={"b": often, "c": often}))

    assert (report.counts.written, report.counts.failed, report.stopped) == (4, 0, None)


async def test_a_flood_without_end_stops_the_job_and_fails_no_document(jobs: IngestJobs) -> None:
    short = SETTINGS.model_copy(update={"busy_s": 0.0})

    report = await jobs.run(docs(*"ab"), index=Unsteady(jobs.index, refusals={"a": 99, "b": 99}), settings=short)

    assert report.stopped == "the cluster has taken no document for 0 s (ingest.busy_s): queue is full"
    assert (report.counts.written, report.counts.failed, report.unfinished) == (0, 0, 2)


async def test_a_removal_that_is_put_off_is_done_later(jobs: IngestJobs) -> None:
    await jobs.run(docs(*"abc"))

    report = await jobs.run(docs("a"), index=Unsteady(jobs.index, refusals={"b": 2}), delete_missing=True)

    assert report.counts.removed == 2
    assert await jobs.ids() == ["a"]


async def test_what_is_refused_for_good_is_tried_once(jobs: IngestJobs) -> None:
    unsteady = Unsteady(jobs.index, refusals={"b": -1})

    report = await jobs.run(docs(*"abc"), index=unsteady)

    assert (report.counts.failed, report.counts.retried, unsteady.writes) == (1, 0, 1)
    assert jobs.rejects()[0]["document"]["_id"] == "b"


async def test_a_short_outage_costs_only_time(jobs: IngestJobs) -> None:
    report = await jobs.run(docs(*"abcd"), index=Unsteady(jobs.index, outages=2))

    assert (report.counts.written, report.counts.retried, report.ok) == (4, 2, True)


async def test_a_long_outage_stops_the_job_and_says_what_was_under_way(jobs: IngestJobs) -> None:
    report = await jobs.run(docs(*"abcdefghij"), index=Unsteady(jobs.index, outages=999))

    assert report.stopped == "no answer in time"
    assert (report.counts.written, report.ok) == (0, False)
    assert report.unfinished == report.counts.read > 0
    assert adds_up(report)


async def test_a_cluster_that_goes_away_still_leaves_a_report(jobs: IngestJobs) -> None:
    single = IngestSettings(group_documents=2, writers=1, max_attempts=2, backoff_s=0.001)

    report = await jobs.run(docs(*"abcdefghij"), index=Unsteady(jobs.index, down_after=2), settings=single)

    assert report.stopped == "connection refused"
    assert 2 <= report.counts.written <= len(await jobs.ids()) <= 4  # a write that was under way may have gone through
    assert adds_up(report)


async def test_a_stopped_job_is_simply_run_again(jobs: IngestJobs) -> None:
    single = IngestSettings(group_documents=2, writers=1, max_attempts=2, backoff_s=0.001)
    stopped = await jobs.run(docs(*"abcdefghij"), index=Unsteady(jobs.index, down_after=2), settings=single)

    again = await jobs.run(docs(*"abcdefghij"))

    assert again.counts.unchanged >= stopped.counts.written
    assert again.counts.unchanged + again.counts.written == 10
    assert await jobs.ids() == list("abcdefghij")


async def test_a_failing_removal_is_reported(jobs: IngestJobs) -> None:
    class Keeping(Unsteady):
        async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
            raise ClusterError("no privilege")

    await jobs.run(docs("a", "b"))
    report = await jobs.run(docs("a"), index=Keeping(jobs.index), delete_missing=True)

    assert (report.stopped, report.ok, report.counts.removed) == ("no privilege", False, 0)


async def test_a_pause_is_as_long_as_the_cluster_asked_for(jobs: IngestJobs) -> None:
    class Busy(Unsteady):
        async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
            if not self.writes:
                self.writes += 1
                raise ClusterUnavailable("busy", status=429, retry_after_s=0.6)
            return await super().write(documents)

    report = await jobs.run(docs("a"), index=Busy(jobs.index))

    assert (report.counts.written, report.counts.retried) == (1, 1)
    assert report.seconds >= 0.6
