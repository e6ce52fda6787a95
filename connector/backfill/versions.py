"""Who counts the versions of an index's documents: the engine, or an application that gives its own.

An update of ours counts a document's version up. An application that gives versions of its own
(`version_type=external`) then has its next write refused, so such an index is not filled in place.

Where the engine counts, each write of a document takes one version and one sequence number of its shard. So a version
is at most the sequence number plus one, never 0, and the versions of a shard's documents sum up to at most its highest
sequence number plus one. What breaks this was not counted by the engine. The other way round nothing is shown: versions
of an application that count each write once look just the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

SURE = 4.0  # standard errors that a mean of a sample is lowered by before it is believed


@dataclass(frozen=True, slots=True)
class CountedDocument:
    """Version and sequence number of a document."""

    version: int
    seq_no: int

    @property
    def is_external(self) -> bool:
        """Whether no engine counts so."""
        return self.version < 1 or self.version > self.seq_no + 1


@dataclass(frozen=True, slots=True)
class CountedShard:
    """The documents of a shard, its highest visible sequence number, the sum of their versions where the engine
    tells it, and a random sample of them; all seen at one moment."""

    shard: int
    documents: int
    highest: int
    total: int | None
    sample: tuple[CountedDocument, ...]

    @property
    def least_total(self) -> float:
        """What the versions sum up to at least, as far as can be told."""
        if self.total is not None:
            return self.total
        count = len(self.sample)
        if count >= self.documents:
            return sum(document.version for document in self.sample)
        if count < 2:
            return 0
        mean = sum(document.version for document in self.sample) / count
        spread = math.sqrt(sum((document.version - mean) ** 2 for document in self.sample) / (count - 1))
        return (mean - SURE * spread / math.sqrt(count)) * self.documents


@dataclass(frozen=True, slots=True)
class CountedVersions:
    """What was seen of the versions of an index. `merged`: its shards were made of several (shrunk), so that nothing
    follows from a sum."""

    shards: tuple[CountedShard, ...] = ()
    merged: bool = False

    @property
    def seen(self) -> int:
        """Documents whose own version was looked at."""
        return sum(len(shard.sample) for shard in self.shards)

    @property
    def why_external(self) -> str:
        """What shows that the engine does not count the versions; empty where nothing does."""
        for shard in self.shards:
            strange = next((document for document in shard.sample if document.is_external), None)
            if strange:
                return (
                    f"a document has version {strange.version} and sequence number {strange.seq_no}, "
                    "which no engine counts so"
                )
        if self.merged:
            return ""
        for shard in self.shards:
            if shard.least_total > shard.highest + 1:
                return (
                    f"the versions of the documents in shard {shard.shard} sum up to {shard.least_total:.0f} or more, "
                    f"but it has seen only {shard.highest + 1} writes"
                )
        return ""


NOTHING_SEEN = CountedVersions()
