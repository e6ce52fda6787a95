"""The real encoder, asked once for each text: for tests that write the same documents again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connector.models.encoder import Encoder
from connector.types import Vector, Vectors


class RememberingEncoder:
    """An encoder that knows the vectors it has made, and those that it was given."""

    def __init__(self, encoder: Encoder, known: dict[str, Vector] | None = None) -> None:
        self.fingerprint = encoder.fingerprint
        self.queries_at_once = encoder.queries_at_once
        self.token_offsets = encoder.token_offsets
        self._encoder = encoder
        self._passages = known or {}
        self._queries: dict[str, Vector] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        if missing := [text for text in dict.fromkeys(texts) if text not in self._passages]:
            self._passages.update(zip(missing, self._encoder.encode(missing), strict=True))
        found = np.array([self._passages[text] for text in texts], dtype=np.float32)
        return found.reshape(len(texts), self.fingerprint.dims)

    def encode_query(self, text: str) -> Vector:
        if text not in self._queries:
            self._queries[text] = self._encoder.encode_query(text)
        return self._queries[text].copy()
