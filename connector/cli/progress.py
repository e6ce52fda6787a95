"""A running job on a terminal, or in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from connector.cli.console import say, stderr

if TYPE_CHECKING:
    from connector.backfill.beside.filling import BesideCounts
    from connector.backfill.into.copying import IntoCounts
    from connector.backfill.report import BackfillCounts
    from connector.evaluation.evaluate import Reporter
    from connector.ingest.report import Counts

    JobCounts = Counts | BackfillCounts | BesideCounts | IntoCounts

log = logging.getLogger(__name__)
LOG_EVERY_S = 10.0
SAY_EVERY_S = 30.0


class _NowAndThen:
    """Is due once in so many seconds, the first time after as many."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due = time.monotonic() + every_s

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._every_s
        return True


@contextmanager
def _bar(
    description: str, total: float | None, *columns: ProgressColumn, is_shown: bool, **fields: Any
) -> Iterator[tuple[Progress, TaskID]]:
    """A bar with these columns behind it, the time that passed and the time that is left; it goes at the end."""
    progress = Progress(
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
    )
    with progress if is_shown else nullcontext():  # what is not begun shows nothing
        yield progress, progress.add_task(description, total=total, **fields)


@contextmanager
def showing(
    bar: bool, description: str = "ingesting"
) -> Iterator[tuple[Callable[[JobCounts], None], Callable[[str], None]]]:
    """How a running job shows its counts and says things: a bar on a terminal, else a log line now and then."""
    if not bar:
        log_line = _NowAndThen(LOG_EVERY_S)

        def tell(counts: JobCounts) -> None:
            if log_line.is_due():
                log.info("%d documents done, %.0f %% read", counts.done, counts.progress * 100, extra=asdict(counts))

        yield tell, log.info
        return
    columns = (TaskProgressColumn(), TextColumn("{task.fields[counts]}", markup=False))
    with _bar("loading the encoder", None, *columns, is_shown=True, counts="") as (progress, task):

        def show(counts: JobCounts) -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            rate = f"{counts.done / elapsed:,.0f}/s" if elapsed else ""
            done = f"{counts.done:,} documents {rate}"
            progress.update(task, description=description, total=1.0, completed=counts.progress, counts=done)

        yield show, lambda message: progress.console.print(message, highlight=False)


@contextmanager
def counting(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that shows how many are done: a bar with the rate and the time that is left, or where stderr is no
    terminal a line now and then."""
    began, line = time.monotonic(), _NowAndThen(SAY_EVERY_S)
    columns = (MofNCompleteColumn(), TextColumn("{task.fields[rate]}", markup=False))
    with _bar(description, total, *columns, is_shown=stderr.is_terminal, rate="") as (progress, task):

        def show(done: int) -> None:
            now = time.monotonic()
            rate = f"{done / (now - began):,.1f}/s" if now > began else ""
            progress.update(task, completed=done, rate=rate)
            if not stderr.is_terminal and line.is_due():
                left_s = (total - done) * (now - began) / max(done, 1)
                stderr.print(f"{description}: {done} of {total} done, {rate}, {left_s:,.0f} s left", highlight=False)

        yield show


@contextmanager
def reporter_on_terminal() -> Iterator[Reporter]:
    """Notes on stderr, and a bar with the time that is left; where stderr is no terminal, a line now and then."""
    from connector.evaluation.evaluate import Reporter

    line = _NowAndThen(SAY_EVERY_S)
    with _bar("loading", None, MofNCompleteColumn(), is_shown=stderr.is_terminal) as (progress, task):

        def begin(description: str, count: int) -> None:
            progress.reset(task, description=description, total=count)

        def done() -> None:
            progress.advance(task)
            if not stderr.is_terminal and line.is_due():
                counted = progress.tasks[0]
                stderr.print(
                    f"{counted.description}: {counted.completed:.0f} of {counted.total:.0f} done", highlight=False
                )

        yield Reporter(note=say, begin=begin, done=done)


@contextmanager
def share_on_terminal(description: str, unit: str) -> Iterator[Callable[[float, int], None]]:
    """A bar for a job that knows which share of it is done, and how many things that were; where stderr is no terminal,
    a line now and then."""
    line, columns = _NowAndThen(SAY_EVERY_S), (TaskProgressColumn(), TextColumn("{task.fields[counts]}", markup=False))
    with _bar(description, 1.0, *columns, is_shown=stderr.is_terminal, counts="") as (progress, task):

        def show(share: float, count: int) -> None:
            progress.update(task, completed=share, counts=f"{count:,} {unit}")
            if not stderr.is_terminal and line.is_due():
                stderr.print(f"{description}: {count:,} {unit}, {share:.0%}", highlight=False)

        yield show
