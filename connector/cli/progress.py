"""A running job on a terminal, or in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from connector.cli.console import stderr

if TYPE_CHECKING:
    from connector.backfill.report import BackfillCounts
    from connector.evaluation.evaluate import Reporter
    from connector.ingest.report import Counts

    JobCounts = Counts | BackfillCounts

log = logging.getLogger(__name__)
LOG_EVERY_S = 10.0
SAY_EVERY_S = 30.0


@contextmanager
def showing(
    bar: bool, description: str = "ingesting"
) -> Iterator[tuple[Callable[[JobCounts], None], Callable[[str], None]]]:
    """How a running job shows its counts and says things: a bar on a terminal, else a log line now and then."""
    if not bar:
        due = time.monotonic() + LOG_EVERY_S

        def tell(counts: JobCounts) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + LOG_EVERY_S
                log.info("%d documents done, %.0f %% read", counts.done, counts.progress * 100, extra=asdict(counts))

        yield tell, log.info
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
    ) as progress:
        task = progress.add_task("loading the encoder", total=None, counts="")

        def show(counts: JobCounts) -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            rate = f"{counts.done / elapsed:,.0f}/s" if elapsed else ""
            done = f"{counts.done:,} documents {rate}"
            progress.update(task, description=description, total=1.0, completed=counts.progress, counts=done)

        yield show, lambda message: progress.console.print(message, highlight=False)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that shows how many are done: a bar with the rate and the time that is left, or where stderr is no
    terminal a line now and then."""
    began = time.monotonic()
    due = began + SAY_EVERY_S
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total, rate="")

        def show(done: int) -> None:
            nonlocal due
            now = time.monotonic()
            rate = f"{done / (now - began):,.1f}/s" if now > began else ""
            progress.update(task, completed=done, rate=rate)
            if not stderr.is_terminal and now >= due:
                due = now + SAY_EVERY_S
                left_s = (total - done) * (now - began) / max(done, 1)
                stderr.print(f"{what}: {done} of {total} done, {rate}, {left_s:,.0f} s left", highlight=False)

        yield show


@contextmanager
def reporter_on_terminal() -> Iterator[Reporter]:
    """Notes on stderr, and a bar with the time that is left; where stderr is no terminal, a line now and then."""
    from connector.evaluation.evaluate import Reporter

    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task("loading", total=None)
        due = time.monotonic() + SAY_EVERY_S

        def begin(what: str, count: int) -> None:
            progress.reset(task, description=what, total=count)

        def done() -> None:
            nonlocal due
            progress.advance(task)
            if not stderr.is_terminal and time.monotonic() >= due:
                due = time.monotonic() + SAY_EVERY_S
                counted = progress.tasks[0]
                stderr.print(
                    f"{counted.description}: {counted.completed:.0f} of {counted.total:.0f} done", highlight=False
                )

        yield Reporter(
            note=lambda text: stderr.print(text, style="yellow", highlight=False, markup=False), begin=begin, done=done
        )


@contextmanager
def share_on_terminal(description: str, what: str) -> Iterator[Callable[[float, int], None]]:
    """A bar for a job that knows which share of it is done, and how many things that were; where stderr is no terminal,
    a line now and then."""
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=1.0, counts="")
        due = time.monotonic() + SAY_EVERY_S

        def show(share: float, count: int) -> None:
            nonlocal due
            progress.update(task, completed=share, counts=f"{count:,} {what}")
            if not stderr.is_terminal and time.monotonic() >= due:
                due = time.monotonic() + SAY_EVERY_S
                stderr.print(f"{description}: {count:,} {what}, {share:.0%}", highlight=False)

        yield show
