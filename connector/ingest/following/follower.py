"""A source followed: its steps taken one after the other, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from connector.clusters.protocol import Index
from connector.errors import ClusterUnavailable, ConnectorError
from connector.ingest.following.account import Account, FollowReport
from connector.ingest.following.source import FollowedSource, FollowTarget, SourceStep
from connector.ingest.missing import REMOVE_BATCH
from connector.ingest.pipeline import IngestJob
from connector.ingest.report import Counts, JobReport
from connector.ingest.seen import SeenIds
from connector.ingest.sources import Source
from connector.ingest.writing import GET_TIMEOUT_S
from connector.models.encoder import Encoder
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings

T = TypeVar("T")
log = logging.getLogger(__name__)
TICK_S = 1.0  # between two looks at how far behind the index is


class _StopReached(Exception):
    """The follower is to stop, in the midst of a step."""


class Follower:
    """Takes the steps of a source: each is an ingest job of its own.

    While the cluster is away it tries again for ever, and the source waits. `stop` ends it as it ends IngestJob; a
    step that was not taken whole comes again in the next run."""

    def __init__(
        self,
        followed: FollowedSource,
        index: Index,
        encoder: Encoder,
        settings: IngestSettings,
        *,
        rejects: Path,
        stop: asyncio.Future[str],
        target: FollowTarget | None = None,
        delete_missing: bool = False,
        on_state: Callable[[FollowReport], None] = lambda report: None,
    ) -> None:
        self._followed = followed
        self._index = index
        self._encoder = encoder
        self._settings = settings.model_copy(update={"max_attempts": sys.maxsize})
        self._rejects = rejects
        self._stop = stop
        self._target = target or FollowTarget(index.name, index.schema.fields.id)
        self._delete_missing = delete_missing
        self._on_state = on_state
        self._running: Counts | None = None
        self._grace_ends: float | None = None
        self.account = Account()

    async def run(self) -> FollowReport:
        """Until `stop`, or an error that no patience helps with; then `stopped` says which. Raises ConnectorError where
        it cannot begin."""
        steps = self._followed.steps(self._target)
        ticking = asyncio.create_task(self._tick())
        stopped: str | None = None
        try:
            while step := await self._next(steps):
                report = await self._take(step)
                self.account.add(report)
                step.report = report
                if report.stopped and not report.source_broke_off:
                    break
                if report.stopped:
                    self._say_broken(report)
        except _StopReached:
            pass
        except ConnectorError as error:
            if not self.account.report().steps:
                raise
            stopped = str(error)
        finally:
            ticking.cancel()
            await steps.aclose()
        if self._stop.done():
            stopped = self._stop.result()
        if stopped:
            self.account.remember(stopped=stopped, source_broke_off=False)
        return self.account.report(lag=self._followed.lag())

    async def _next(self, steps: AsyncGenerator[SourceStep, None]) -> SourceStep | None:
        """The next step, for which it waits; None once it is to stop."""
        coming = asyncio.ensure_future(anext(steps, None))
        either: list[asyncio.Future[Any]] = [coming, self._stop]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() and not self._stop.done() else None
        finally:
            if not coming.done():
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectorError):
                    await coming

    async def _take(self, step: SourceStep) -> JobReport:
        """What became of a step. It removes last, so that what was renamed is missing at no moment."""
        started = time.monotonic()
        if step.note:
            log.warning("%s", step.note)
            self.account.note(step.note)
        report = JobReport(Counts(), 0.0) if step.rows is None else await self._write(step.rows, step)
        if step.removed and not report.stopped:
            await self._remove(step.removed)
            await self._unless_stopped(self._index.finish)
        if step.present and self._delete_missing:
            await self._remove_all_but(step.present)
        return replace(report, seconds=time.monotonic() - started)

    async def _write(self, rows: Source, step: SourceStep) -> JobReport:
        job = IngestJob(
            rows,
            self._index,
            self._encoder,
            self._settings,
            rejects=self._rejects,
            stop=self._stop,
            delete_missing=self._delete_missing and step.is_whole,
            keep_rejects=not step.is_whole,
            seen=step.seen,
            on_progress=self._show,
        )
        try:
            return await job.run()
        finally:
            self._running = None

    async def _remove(self, doc_ids: Sequence[str]) -> None:
        """Those of the documents that are there are removed and counted."""
        for start in range(0, len(doc_ids), REMOVE_BATCH):
            part = list(doc_ids[start : start + REMOVE_BATCH])
            ask = partial(self._index.get, part, fields=["content_hash"], timeout_s=GET_TIMEOUT_S)
            left = list(await self._unless_stopped(ask))
            for pause_s in pauses(self._settings.backoff_s, self._settings.max_attempts):
                outcomes = await self._unless_stopped(partial(self._index.remove, left)) if left else []
                failed = [outcome for outcome in outcomes if outcome.error is not None]
                self.account.count_removed(len(outcomes) - len(failed))
                for outcome in failed:
                    if not outcome.retryable:
                        self.account.note(f"a document could not be removed: {outcome.error}")
                left = [outcome.doc_id for outcome in failed if outcome.retryable]
                if not left:
                    break
                log.warning("%d documents were not removed (%s); trying again", len(left), failed[0].error)
                await self._unless_stopped(partial(asyncio.sleep, pause_s or 0.0))

    async def _remove_all_but(self, present: SeenIds) -> None:
        """What the index has and the source has not."""
        missing: list[str] = []
        known: list[str] = []

        def sort_out() -> None:
            missing.extend(present.missing_from(known))
            known.clear()

        async for doc_id, _ in self._index.scan():
            known.append(doc_id)
            if len(known) == REMOVE_BATCH:
                sort_out()
        sort_out()
        if missing:
            await self._remove(missing)
            await self._unless_stopped(self._index.finish)

    async def _unless_stopped(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, tried again for as long as the cluster is away; once it is to stop, for `ingest.grace_s`.
        Raises _StopReached."""

        def tell(error: Exception, wait_s: float) -> None:
            log.warning("%s; trying again in %.1f s", error, wait_s)

        settings = self._settings
        retry = Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s, on_retry=tell)
        working = asyncio.ensure_future(retry.run(call))
        either: list[asyncio.Future[Any]] = [working, self._stop]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self._grace_ends = self._grace_ends or time.monotonic() + settings.grace_s
                await asyncio.wait([working], timeout=max(self._grace_ends - time.monotonic(), 0.0))
            if not working.done():
                raise _StopReached
            return working.result()
        finally:
            working.cancel()

    def _show(self, counts: Counts) -> None:
        self._running = counts

    async def _tick(self) -> None:
        while True:
            self._on_state(self.account.report(self._running, self._followed.lag()))
            await asyncio.sleep(TICK_S)

    def _say_broken(self, report: JobReport) -> None:
        """What stopped a reading, of a source that is read again when it has changed."""
        log.warning("%s; it is read again once it has changed", report.stopped)
        self.account.note(f"a reading broke off: {report.stopped}")
        self.account.remember(stopped=None, source_broke_off=False)
