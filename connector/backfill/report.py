"""What a back-fill did: every document counted once, while the job runs and when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from connector.backfill.scan import FoundDocument
from connector.ingest.seen import SeenIds

Settled = Literal["written", "unchanged", "without_text", "gone", "refused", "contested"]
UNSETTLED: frozenset[Settled] = frozenset({"gone", "refused", "contested"})
MOST_UNSETTLED = 100_000  # of the last documents that may yet become something else: a follower's memory is bounded
MOST_REASONS = 1_000  # different ones: some name a document
OTHER_REASONS = "other reasons"


@dataclass(frozen=True, slots=True)
class BackfillCounts:
    """What became of the documents so far, each counted once: those that were found are all others together.

    `unchanged`: it had passages of this encoder and of its text; `without_text`: it carries the marker and no passages;
    `gone`: deleted before it was written; `refused`: the engine took it not; `contested`: the application wrote it at
    each try. `again` counts further writes, of documents that the application changed after ours, and `behind` those
    of them that were not done again. `expected` is how many the index held at the start."""

    expected: int = 0
    found: int = 0
    written: int = 0
    unchanged: int = 0
    without_text: int = 0
    gone: int = 0
    refused: int = 0
    contested: int = 0
    again: int = 0
    behind: int = 0
    passages: int = 0
    retried: int = 0

    @property
    def done(self) -> int:
        return self.found

    @property
    def progress(self) -> float:
        """The share of the index that was looked at."""
        return min(self.found / self.expected, 1.0) if self.expected else 1.0


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """The outcome of a back-fill of one index. `stopped` says why it ended early. `rejects` is the file of what was
    refused; `reasons` are the engine's words for it, with how often. `notes` are what was seen on the way."""

    index: str
    counts: BackfillCounts
    seconds: float
    rejects: Path | None = None
    stopped: str | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether each document has passages of its present text, as far as was seen."""
        counts = self.counts
        return self.stopped is None and not (counts.refused or counts.contested or counts.behind)


@dataclass(frozen=True, slots=True)
class _Unsettled:
    """A document that may yet become something else: what it counts as, and which write of it that was, where."""

    kind: Settled
    shard: int
    seq_no: int
    was_done: bool


class Ledger:
    """Counts every document once, however often it is met. Ids are on disk, so that memory does not grow with the
    index."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._seen = SeenIds()
        self._forgotten = 0  # documents that were met before
        self._unsettled: dict[str, _Unsettled] = {}
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> BackfillCounts:
        return BackfillCounts(expected=self._expected, **self._counts)

    def add(self, **more: int) -> None:
        """Count what is no document."""
        self._counts.update(more)

    def settle(self, document: FoundDocument, kind: Settled) -> None:
        """Count what became of a document; what was said of it before no longer holds."""
        key = _key(document)
        is_new, before = self._seen.add(key), self._unsettled.pop(key, None)
        was_done = before.was_done if before else not is_new
        if is_new:
            self._counts["found"] += 1
        elif before and not was_done:
            self._counts[before.kind] -= 1
        if was_done:
            self._counts["behind"] -= before is not None and before.kind != "gone"
            self._counts["behind"] += kind in ("refused", "contested")
            self._counts["again"] += kind in ("written", "without_text")
        else:
            self._counts[kind] += 1
        if kind in UNSETTLED:
            self._unsettled[key] = _Unsettled(kind, document.shard, document.seq_no, was_done)
            if len(self._unsettled) > MOST_UNSETTLED:
                del self._unsettled[next(iter(self._unsettled))]

    def was_refused(self, document: FoundDocument) -> bool:
        """Whether the engine has refused this very state of the document."""
        before = self._unsettled.get(_key(document))
        return before is not None and before.kind == "refused" and before.seq_no == document.seq_no

    def refused(self, shards: int) -> list[list[int]]:
        """The writes that the engine has refused passages for, by shard."""
        numbers: list[list[int]] = [[] for _ in range(shards)]
        for refusal in self._unsettled.values():
            if refusal.kind == "refused":
                numbers[refusal.shard].append(refusal.seq_no)
        return numbers

    def keep_within(self, most: int) -> None:
        """Forget which documents were met, where they are more: from then on each counts as if it were met first."""
        if self._counts["found"] - self._forgotten > most:
            self._seen.close()
            self._seen, self._forgotten = SeenIds(), self._counts["found"]

    def close(self) -> None:
        self._seen.close()


def count_reasons(reasons: dict[str, int], more: Iterable[str]) -> None:
    """Count these reasons too; those of which there are too many different ones are counted together."""
    for reason in more:
        name = reason if reason in reasons or len(reasons) < MOST_REASONS else OTHER_REASONS
        reasons[name] = reasons.get(name, 0) + 1


def _key(document: FoundDocument) -> str:
    """Documents of one id may lie in several shards, by their routing."""
    return f"{document.shard}/{document.doc_id}"
