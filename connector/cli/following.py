"""A source or an index that is followed: on a terminal, in a log, and in a report that is written anew now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from connector.cli.console import stderr
from connector.cli.progress import LOG_EVERY_S
from connector.cli.report_file import write_report
from connector.errors import SettingsError
from connector.extras import needs

if TYPE_CHECKING:
    from connector.backfill.keeping_up.lag import PassageLag
    from connector.backfill.keeping_up.metrics import FollowMetrics
    from connector.backfill.report import BackfillCounts
    from connector.ingest.following.account import FollowReport

log = logging.getLogger(__name__)


@contextmanager
def following(bar: bool) -> Iterator[tuple[Callable[[FollowReport], None], Callable[[str], None]]]:
    """How a followed source shows what was done and how far behind the index is: a line on a terminal, else a log line
    now and then, where there is anything new."""
    if not bar:
        due, logged = time.monotonic() + LOG_EVERY_S, ""

        def tell(report: FollowReport) -> None:
            nonlocal due, logged
            text = _describe(report)
            if time.monotonic() >= due and text != logged:
                due, logged = time.monotonic() + LOG_EVERY_S, text
                lag = {"lag_s": report.lag.seconds, "waiting": report.lag.waiting}
                log.info("%s", text, extra=asdict(report.counts) | lag)

        yield tell, log.info
        return
    with _spinner() as progress:
        task = progress.add_task("following", total=None, state="loading the encoder")
        yield (
            lambda report: progress.update(task, state=_describe(report)),
            lambda message: progress.console.print(message, highlight=False),
        )


def _spinner() -> Progress:
    """A line for each that is followed: its name, how it stands, and since when."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", style="bold", markup=False),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
    )


class IndexLines:
    """How followed indices show what was done and how far behind they are: a line for each on a terminal, else a log
    line now and then, where there is anything new."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._due: dict[str, float] = {}
        self._logged: dict[str, str] = {}
        self._counts: dict[str, BackfillCounts] = {}
        self._behind: dict[str, PassageLag] = {}

    def say(self, message: str) -> None:
        if self._progress:
            self._progress.console.print(message, highlight=False)
        else:
            log.info(message)

    def tell_counts(self, index: str, counts: BackfillCounts) -> None:
        self._counts[index] = counts
        self._tell(index)

    def tell_behind(self, index: str, behind: PassageLag) -> None:
        self._behind[index] = behind
        self._tell(index)

    def _tell(self, index: str) -> None:
        counts, behind = self._counts.get(index), self._behind.get(index)
        done = f"{counts.written + counts.again:,} written, {counts.unchanged:,} unchanged; " if counts else ""
        lag = f"{behind.operations:,} operations behind" if behind and behind.operations else "caught up"
        text = done + (f"in trouble: {behind.trouble}" if behind and behind.trouble else lag)
        if self._progress:
            if index not in self._tasks:
                self._tasks[index] = self._progress.add_task(f"following {index}", total=None, state="")
            self._progress.update(self._tasks[index], state=text)
        elif text != self._logged.get(index) and time.monotonic() >= self._due.get(index, 0.0):
            self._logged[index], self._due[index] = text, time.monotonic() + LOG_EVERY_S
            seconds = round(behind.seconds, 1) if behind else 0.0
            log.info("%s: %s", index, text, extra={"index": index, "behind_s": seconds})


@contextmanager
def index_lines(bar: bool) -> Iterator[IndexLines]:
    """The lines of followed indices for as long as the block lasts."""
    if not bar:
        yield IndexLines(None)
        return
    with _spinner() as progress:
        yield IndexLines(progress)


@contextmanager
def serving_metrics(port: int, *, silent_s: float = 0.0) -> Iterator[FollowMetrics]:
    """What a Prometheus server reads of this process, served for as long as the block lasts; an index of which nothing
    is heard for `silent_s` is behind. Raises SettingsError."""
    with needs("worker", "metrics for Prometheus"):
        from connector.backfill.keeping_up.metrics import FollowMetrics

    metrics = FollowMetrics(silent_s)
    with metrics.serving(port) as served:
        log.info("metrics on http://127.0.0.1:%d/metrics", served)
        yield metrics


def also_measured(
    show: Callable[[FollowReport], None], metrics: FollowMetrics, index: str
) -> Callable[[FollowReport], None]:
    """`show`, and the metrics of the source that is written to that index."""

    def show_and_measure(report: FollowReport) -> None:
        show(report)
        metrics.tell_source(index, report)

    return show_and_measure


def also_reporting(
    show: Callable[[FollowReport], None], file: Path, every_s: float, describe: Callable[[FollowReport], dict[str, Any]]
) -> Callable[[FollowReport], None]:
    """`show`, and the report so far in a file, so often."""
    due = time.monotonic()

    def show_and_write(report: FollowReport) -> None:
        nonlocal due
        show(report)
        if time.monotonic() >= due:
            due = time.monotonic() + every_s
            try:
                write_report(file, describe(report))
            except SettingsError as error:
                log.warning("%s", error)

    return show_and_write


def _describe(report: FollowReport) -> str:
    counts = report.counts
    done = f"{counts.written:,} written, {counts.unchanged:,} unchanged, {counts.removed:,} removed"
    failed = f", {counts.failed:,} failed" if counts.failed else ""
    return f"{done}{failed}; {report.lag}"
