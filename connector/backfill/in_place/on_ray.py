"""The back-fill of an index on a Ray cluster: each process reads, encodes and writes some of the shards, as a job of
its own. A part whose process is lost is run again, and finds by the engine what is left to do."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from connector.backfill.engine import engine_of
from connector.backfill.fields import BackfillPlan
from connector.backfill.in_place.job import BackfillJob, run_watched
from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.errors import AccessDenied, ConnectorError, EncoderMismatch
from connector.event_loop import in_own_thread, open_runner
from connector.ingest.ray.board import Board
from connector.ingest.ray.cluster import RayRoom, connected, explain_end
from connector.ingest.ray.shortage import Shortage
from connector.ingest.rejects import RejectsFile
from connector.settings.sections import Settings
from connector.wiring import load_encoder

LOOK_S = 1.0  # between two looks at the board


@dataclass(frozen=True, slots=True)
class ShardsPart:
    """A part of a back-fill: the shards of one process."""

    number: int
    shards: tuple[int, ...]
    plan: BackfillPlan
    settings: Settings
    expected: int
    bounds: LoadBounds
    board: Board


class RayBackfill:
    """One run over one index, whose mapping has our fields already; `stop` is as that of BackfillJob."""

    def __init__(
        self,
        plan: BackfillPlan,
        settings: Settings,
        room: RayRoom,
        expected: int,
        bounds: LoadBounds,
        rejects: Path,
        stop: asyncio.Future[str],
        on_progress: Callable[[BackfillCounts], None],
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._room = room
        self._expected = expected
        self._bounds = bounds
        self._rejects = RejectsFile(rejects)
        self._stop = stop
        self._on_progress = on_progress

    @staticmethod
    def connecting(settings: Settings) -> AbstractAsyncContextManager[RayRoom]:
        """The room that a back-fill has, for as long as the block lasts. Raises RayUnavailable."""
        return connected(settings.ray)

    async def run(self) -> BackfillReport:
        """Run until nothing is left in any shard, or until it is stopped. Raises AccessDenied."""
        started = time.monotonic()
        board = await in_own_thread(Board)
        given = self._settings.ray
        task = ray.remote(num_cpus=given.encoder_cpus, num_gpus=given.encoder_gpus, max_retries=-1)(fill_shards)
        parts = [
            ShardsPart(number, shards, self._plan, self._settings, self._expected, self._bounds, board)
            for number, shards in enumerate(share_out(self._plan.shards, self._room.encoders))
        ]
        running = asyncio.create_task(in_own_thread(_run_all, task, parts))
        ended = await self._watch(board, running)
        counts, reason, denied = await in_own_thread(board.state)
        if not running.done():
            return self._report(started, self._counts(counts), stopped=ended)
        try:
            done = running.result()
        except (RayError, ConnectorError) as error:
            return self._report(started, self._counts(counts), stopped=explain_end(error))
        for _, lines in done:
            for line in lines:
                self._rejects.keep_line(line)
        reports = [report for report, _ in done]
        total = add_counts(self._expected, [report.counts for report in reports])
        if denied and not total.written:
            raise AccessDenied(str(reason))
        reasons: Counter[str] = sum((Counter(report.reasons) for report in reports), Counter())
        notes = tuple(dict.fromkeys(note for report in reports for note in report.notes))
        stopped = reason or next((report.stopped for report in reports if report.stopped), None)
        return replace(self._report(started, total, stopped=stopped), reasons=dict(reasons), notes=notes)

    async def _watch(self, board: Board, running: asyncio.Task[list[tuple[BackfillReport, list[str]]]]) -> str | None:
        """Until all parts have ended: say how far they are, and hand on that they are to stop; then they have
        `ingest.grace_s`, and a little more to report. Why they are left as they are, if they are."""
        end: float | None = None
        given = self._settings.ray
        shortage = Shortage({"CPU": given.encoder_cpus, "GPU": given.encoder_gpus}, given.wait_s)
        while not running.done():
            if end is not None and time.monotonic() > end:
                return self._stop.result()
            await asyncio.wait([running], timeout=LOOK_S)
            if self._stop.done() and end is None:
                end = time.monotonic() + self._settings.ingest.grace_s + 2 * LOOK_S
                await in_own_thread(board.stop, self._stop.result())
            if counts := (await in_own_thread(board.state))[0]:
                self._on_progress(self._counts(counts))
            if reason := shortage.reason(counts):
                return reason
        return None

    def _counts(self, counts: dict[str, int]) -> BackfillCounts:
        return BackfillCounts(**counts | {"expected": self._expected})

    def _report(self, started: float, counts: BackfillCounts, *, stopped: str | None) -> BackfillReport:
        return BackfillReport(
            self._plan.index, counts, time.monotonic() - started, self._rejects.written(), stopped=stopped
        )


def share_out(shards: int, processes: int) -> list[tuple[int, ...]]:
    """The shards of each process; no process without one."""
    return [tuple(range(first, shards, processes)) for first in range(min(shards, processes))]


def add_counts(expected: int, counts: Sequence[BackfillCounts]) -> BackfillCounts:
    """The counts of parts that have no document in common."""
    names = [field.name for field in fields(BackfillCounts) if field.name != "expected"]
    return BackfillCounts(expected, **{name: sum(getattr(part, name) for part in counts) for name in names})


def fill_shards(part: ShardsPart) -> tuple[BackfillReport, list[str]]:
    """Fill a part's shards, in a process of Ray; with the lines for the file of rejects."""
    try:
        with open_runner() as runner:
            return runner.run(_fill_shards(part))
    except ConnectorError as error:
        part.board.stop(str(error), denied=isinstance(error, AccessDenied))
        return BackfillReport(part.plan.index, BackfillCounts(part.expected), 0.0, stopped=str(error)), []


def _run_all(task: Any, parts: Sequence[ShardsPart]) -> list[tuple[BackfillReport, list[str]]]:
    done: list[tuple[BackfillReport, list[str]]] = ray.get([task.remote(part) for part in parts])
    return done


async def _fill_shards(part: ShardsPart) -> tuple[BackfillReport, list[str]]:
    encoder = await in_own_thread(load_encoder, part.settings)
    meant = part.plan.added.encoder
    if not encoder.fingerprint.same_vectors(meant):
        raise EncoderMismatch(part.plan.index, index_encoder=str(meant), configured=str(encoder.fingerprint))
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    pace, told_at = WritePace(), [0.0]

    def tell(counts: BackfillCounts) -> None:
        if time.monotonic() - told_at[0] > LOOK_S:
            told_at[0] = time.monotonic()
            part.board.put(part.number, asdict(counts))

    with tempfile.TemporaryDirectory(prefix="connector-backfill-") as folder:
        rejects = Path(folder, "rejects.jsonl")
        async with engine_of(part.settings) as cluster:
            job = BackfillJob(
                cluster, part.plan, encoder, part.settings.ingest,
                expected=part.expected, rejects=rejects, shards=part.shards, pace=pace, stop=stop, on_progress=tell,
            )  # fmt: skip
            listening = asyncio.create_task(_listen(part.board, stop))
            try:
                report = await run_watched(job, cluster, part.plan, pace, part.bounds)
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
        lines = rejects.read_text(encoding="ascii").splitlines(keepends=True) if report.rejects else []
    part.board.put(part.number, asdict(report.counts))
    if report.stopped:
        part.board.stop(report.stopped)
    return replace(report, rejects=None), lines


async def _listen(board: Board, stop: asyncio.Future[str]) -> None:
    """Resolve `stop` once the job is to stop."""
    while not stop.done():
        await asyncio.sleep(LOOK_S)
        reason = (await in_own_thread(board.state))[1]
        if reason and not stop.done():
            stop.set_result(reason)
