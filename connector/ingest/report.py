"""What a job did: counts while it runs, a report when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connector.ingest.plan import Plan
from connector.ingest.sources import Source


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows so far; `progress` is the share of the source that was read."""

    read: int = 0
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    removed: int = 0
    passages: int = 0
    retried: int = 0
    progress: float = 0.0

    @property
    def done(self) -> int:
        return self.written + self.unchanged + self.failed


@dataclass(frozen=True, slots=True)
class JobReport:
    """The outcome of a job. `stopped` says why it ended early; `source_broke_off`, that it was the source, so that
    another run would end there too. `rejects` is the file of what failed, if anything did.

    `unused` counts, for each column that no field of the index is filled from, the rows that have a value in it.
    `renamed` maps such columns to their fields as no field can be called what they are. `notes` are what the source has
    to say of what it changed or left out, with how often. `plan` is how a new index got its fields."""

    counts: Counts
    seconds: float
    rejects: Path | None = None
    stopped: str | None = None
    kept_missing: str | None = None
    unused: Mapping[str, int] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    plan: Plan | None = None
    source_broke_off: bool = False
    unreadable: int = 0

    @property
    def unfinished(self) -> int:
        """Documents that were read but had no outcome when the job stopped; the next run takes them up."""
        return self.counts.read - self.counts.written - self.counts.unchanged - self.counts.failed

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was left undone."""
        return self.counts.failed == 0 and self.stopped is None and self.kept_missing is None


def notes_of(source: Source, rows: int) -> dict[str, int]:
    """What there is to say of a source that was read, which gave so many rows."""
    return dict(source.notes) | ({} if rows else {"the source holds no rows": 1})
