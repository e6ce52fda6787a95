"""What was done while a source was followed: the sum of its steps."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, fields, replace

from connector.ingest.following.source import SourceLag
from connector.ingest.report import Counts, JobReport


@dataclass(frozen=True, slots=True)
class FollowReport(JobReport):
    """The outcome so far of a source that is followed: `steps` were taken, `lag` is how far the index is behind, and
    `longest_lag_s` the farthest that it was, but for the first reading of all."""

    steps: int = 0
    lag: SourceLag = field(default_factory=SourceLag)
    longest_lag_s: float = 0.0


class Account:
    """Adds up the steps."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._report = FollowReport(Counts(), 0.0)

    def add(self, report: JobReport) -> None:
        """Count a step in. What stopped it, or kept it from removing, is that of the last one."""
        whole = self._report
        self._report = replace(
            whole,
            counts=sum_counts(whole.counts, report.counts),
            rejects=report.rejects or whole.rejects,
            stopped=report.stopped,
            kept_missing=report.kept_missing or whole.kept_missing,
            unused=Counter(whole.unused) + Counter(report.unused),
            renamed=report.renamed or whole.renamed,
            notes=Counter(whole.notes) + Counter(report.notes),
            source_broke_off=report.source_broke_off,
            unreadable=whole.unreadable + report.unreadable,
            steps=whole.steps + 1,
        )

    def note(self, text: str) -> None:
        """Count something that there is to say."""
        self._report = replace(self._report, notes=Counter(self._report.notes) + Counter({text: 1}))

    def count_removed(self, number: int) -> None:
        counts = self._report.counts
        self._report = replace(self._report, counts=replace(counts, removed=counts.removed + number))

    def remember(self, **values: object) -> None:
        """Set other parts of the report."""
        self._report = replace(self._report, **values)  # type: ignore[arg-type]

    def report(self, running: Counts | None = None, lag: SourceLag | None = None) -> FollowReport:
        """The report up to now, with the counts of the step that is under way."""
        if lag is not None and self._report.steps:
            self.remember(lag=lag, longest_lag_s=max(lag.seconds, self._report.longest_lag_s))
        counts = sum_counts(self._report.counts, running) if running else self._report.counts
        return replace(self._report, counts=counts, seconds=time.monotonic() - self._started)


def sum_counts(first: Counts, second: Counts) -> Counts:
    """Both together; how far the source was read is the second's."""
    names = [count.name for count in fields(Counts) if count.name != "progress"]
    total = {name: getattr(first, name) + getattr(second, name) for name in names}
    return Counts(progress=second.progress, **total)
