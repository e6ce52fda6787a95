"""Scores that were computed before, within a bound of bytes; the least recently used go first."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from connector.models.scorer import QueryWeights

ENTRY_BYTES = 300  # about what an entry takes: its key, its values, its place in the order


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of a pair, how many tokens it took, and what of it was cut to fit."""

    value: float
    tokens: int
    truncated: bool
    query_truncated: bool


class ScoreCache:
    """Maps a model, a scope, a query with its weights, and a passage to a score."""

    def __init__(self, max_bytes: int) -> None:
        self._max_entries = max_bytes // ENTRY_BYTES
        self._entries: OrderedDict[bytes, Scored] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def of_query(self, query: str, weights: QueryWeights | None, scope: str, *, model: str) -> ScoresOfQuery:
        """The part of the cache for one query in one scope, by its passages; `model` is the fingerprint of what
        scores."""
        weighed = repr(None if weights is None else [tuple(span) for span in weights])
        head = repr((model, scope, query, weighed)).encode("utf-8", "surrogatepass")
        return ScoresOfQuery(self, hashlib.blake2b(head, digest_size=32).digest())

    def get(self, key: bytes) -> Scored | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: bytes, scored: Scored) -> None:
        with self._lock:
            self._entries[key] = scored
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class ScoresOfQuery:
    """What is remembered of one query."""

    cache: ScoreCache
    head: bytes

    def get(self, passage: str) -> Scored | None:
        return self.cache.get(self._key(passage))

    def put(self, passage: str, scored: Scored) -> None:
        self.cache.put(self._key(passage), scored)

    def _key(self, passage: str) -> bytes:
        return hashlib.blake2b(passage.encode("utf-8", "surrogatepass"), digest_size=16, key=self.head).digest()
