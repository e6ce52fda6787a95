"""The account of a part of a job: what became of its documents, and why. Accounts are added up where the job ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class PartAccount:
    """What became of documents, with the lines of those that failed for the file of rejects. `unused` and `notes` are
    as a job's report has them."""

    written: int = 0
    unchanged: int = 0
    failed: int = 0
    passages: int = 0
    retried: int = 0
    rejects: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def reject(self, line: str) -> None:
        self.failed += 1
        self.rejects.append(line)

    def add(self, other: PartAccount) -> None:
        self.written += other.written
        self.unchanged += other.unchanged
        self.failed += other.failed
        self.passages += other.passages
        self.retried += other.retried
        self.rejects += other.rejects
        self.unused += other.unused
        self.notes += other.notes


@dataclass(slots=True)
class CheckedRows:
    """What the first reading found in some rows of a shard: which can take which ids, and which cannot be documents,
    each with its line for the file of rejects and its id, if that is known. `broke_off` is why the shard ends early."""

    shard: int
    read: int = 0
    ids: list[tuple[int, str]] = field(default_factory=list)
    rejects: list[tuple[str, str | None]] = field(default_factory=list)
    broke_off: str | None = None
