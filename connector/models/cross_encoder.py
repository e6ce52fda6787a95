"""Cross-encoder: a model that reads query and passage together and gives the pair one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.models.backends import Backend, exactness, open_pair_runtime
from connector.models.files import find_model, short_name, weights_sha256
from connector.models.labels import count_labels, require_one_label
from connector.models.model import Piece
from connector.models.scorer import QueryWeights, Scorer, ScorerKind, ScoringPlan
from connector.models.tokenizer import token_offsets
from connector.models.truncation import keep_head_and_tail
from connector.settings.sections import WorkerSettings

DEFAULTS = WorkerSettings()
QUERY_SHARE = 0.5  # a query may take at most this share of the input


@dataclass
class CrossEncoderPlan(ScoringPlan):
    """A piece is a pair of query and passage."""

    pieces: Sequence[Piece]
    lengths: tuple[int, ...]
    truncated: tuple[int, ...]
    query_truncated: bool

    def values(self) -> NDArray[np.float32]:
        return np.array([np.nan if piece.result is None else piece.result for piece in self.pieces], dtype=np.float32)

    def has_run(self, position: int) -> bool:
        return self.pieces[position].result is not None


class CrossEncoderScorer(Scorer):
    """Whatever gives a pair one score: a model with a classification head of one label; in torch also an encoder with
    modules that make one (Ettin), a language model that is asked for yes or no, and whatever else `CrossEncoder` of
    sentence-transformers loads.

    Scores are its logits, before any activation, in 32 bits on a CPU: the sigmoid that many models name as theirs
    rounds the best of them to the same 1. A pair that does not fit keeps the head and the tail of its passage."""

    kind: ScorerKind = "cross-encoder"

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Backend = "torch",
        max_length: int = 0,
        max_batch_tokens: int = DEFAULTS.max_batch_tokens,
    ) -> None:
        folder = find_model(model)
        require_one_label(model, count_labels(folder) or 1)  # at once, where it can be told; loading takes seconds
        self._runtime = open_pair_runtime(folder, backend, device=device)
        require_one_label(model, self._runtime.labels)
        self.max_length = max_length or self._runtime.max_tokens
        self.max_batch_tokens = max_batch_tokens
        self.name = short_name(model)
        weights = weights_sha256(folder)
        self.batches_at_once = self._runtime.batches_at_once
        self.fingerprint = f"{self.name}@{weights[:12]}:cross-encoder:{self.max_length}{exactness(backend)}"

    def plan(
        self, query: str, passages: Sequence[str], *, weights: QueryWeights | None = None, scope: str = ""
    ) -> CrossEncoderPlan:
        special = self._runtime.special
        room = self.max_length - special
        query_offsets, *offsets = token_offsets(self._runtime.tokenizer, [query, *passages])
        query, query_cut = keep_head_and_tail(query, query_offsets, max_tokens=int(room * QUERY_SHARE))
        query_length = min(len(query_offsets), int(room * QUERY_SHARE))
        fitted = [
            keep_head_and_tail(passage, where, max_tokens=room - query_length)
            for passage, where in zip(passages, offsets, strict=True)
        ]
        lengths = tuple(min(len(where), room - query_length) + query_length + special for where in offsets)
        pieces = [Piece(length, (query, text)) for length, (text, _) in zip(lengths, fitted, strict=True)]
        truncated = tuple(position for position, (_, cut) in enumerate(fitted) if cut)
        return CrossEncoderPlan(pieces, lengths, truncated, query_cut)

    def run(self, pieces: Sequence[Piece]) -> None:
        values = self._runtime.logits([piece.content for piece in pieces], max_tokens=self.max_length)
        for piece, value in zip(pieces, values, strict=True):
            piece.result = float(value)
