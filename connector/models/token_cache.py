"""Token vectors of passages that were scored before, within a bound of bytes; the least recently used go first.

What was computed in one scope is not found in another: one principal's queries leave no trace in the times of
another's."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

TokenVectors = NDArray[np.float16]


class TokenCache:
    """Maps a passage's text, within a scope of at most 64 ASCII characters, to its token vectors [tokens, dims]."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._vectors: OrderedDict[bytes, TokenVectors] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, text: str, scope: str = "") -> TokenVectors | None:
        key = _key(text, scope)
        with self._lock:
            vectors = self._vectors.get(key)
            if vectors is None:
                self.misses += 1
                return None
            self.hits += 1
            self._vectors.move_to_end(key)
            return vectors

    def put(self, text: str, vectors: TokenVectors, scope: str = "") -> None:
        key = _key(text, scope)
        with self._lock:
            if vectors.nbytes > self._max_bytes or key in self._vectors:
                return
            self._vectors[key] = vectors
            self.bytes += vectors.nbytes
            while self.bytes > self._max_bytes:
                self.bytes -= self._vectors.popitem(last=False)[1].nbytes


def _key(text: str, scope: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=scope.encode("ascii")).digest()
