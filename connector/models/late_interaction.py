"""Late interaction: MaxSim between the token vectors of query and passage, from any encoder, without training.

Khattab and Zaharia, ColBERT, SIGIR 2020: score = sum over query tokens of the best cosine with a passage token. Here
the sum is a weighted mean, so that a score lies in [-1, 1]; the weights are the rarity of the query's words in the
index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.models.backends import Backend, exactness, open_runtime
from connector.models.files import find_model, short_name, weights_sha256
from connector.models.model import Piece
from connector.models.scorer import QueryWeights, Scorer, ScorerKind, ScoringPlan
from connector.models.token_cache import TokenCache
from connector.models.tokenizer import read_tokenizer
from connector.models.truncation import keep_head_and_tail
from connector.settings.sections import WorkerSettings

DEFAULTS = WorkerSettings()
FLOOR_SHARE = 0.25
TOGETHER = 16  # passages, whose vectors in 32 bits fit the caches


@dataclass(frozen=True, slots=True)
class EncodedText:
    """What a piece holds: a query, or a passage whose vectors are kept for the scope."""

    text: str
    scope: str = ""
    kept: bool = False


@dataclass
class LateInteractionPlan(ScoringPlan):
    """A piece is the query or one of the passages; equal passages share one, and those in the cache have run
    already."""

    pieces: Sequence[Piece]
    lengths: tuple[int, ...]
    query: Piece | None
    passages: Sequence[Piece]
    weigh: Callable[[int], NDArray[np.float32]]  # of so many query tokens, which add up to 1
    truncated: tuple[int, ...] = ()
    query_truncated: bool = False

    def values(self) -> NDArray[np.float32]:
        if self.query is None or self.query.result is None:
            return np.full(len(self.passages), np.nan, dtype=np.float32)
        vectors = self.query.result
        ran = {id(piece): piece.result for piece in self.passages if piece.result is not None}
        scores = dict(zip(ran, max_sims(vectors, self.weigh(len(vectors)), list(ran.values())), strict=True))
        return np.array([scores.get(id(piece), np.nan) for piece in self.passages], dtype=np.float32)

    def has_run(self, position: int) -> bool:
        return self.query is not None and self.query.result is not None and self.passages[position].result is not None


class LateInteractionScorer(Scorer):
    """MaxSim over the last hidden states of any sentence-transformers encoder, or of a ColBERT-like model's own
    vectors."""

    kind: ScorerKind = "late-interaction"

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Backend = "torch",
        max_length: int = 0,
        max_batch_tokens: int = DEFAULTS.max_batch_tokens,
        cache_bytes: int = 0,
    ) -> None:
        folder = find_model(model)
        self._runtime = open_runtime(folder, backend, device=device)
        self._tokenizer = read_tokenizer(self._runtime.recipe.tokenizer)
        self.max_length = max_length or self._runtime.recipe.max_tokens
        self._special = self._tokenizer.num_special_tokens_to_add(False)
        self.max_batch_tokens = max_batch_tokens
        self.batches_at_once = self._runtime.batches_at_once
        self.cache = TokenCache(cache_bytes)
        self.name = short_name(model)
        weights = weights_sha256(folder)
        self.fingerprint = f"{self.name}@{weights[:12]}:late-interaction:{self.max_length}{exactness(backend)}"

    def plan(
        self, query: str, passages: Sequence[str], *, weights: QueryWeights | None = None, scope: str = ""
    ) -> LateInteractionPlan:
        room = self.max_length - self._special
        encodings = self._tokenizer.encode_batch([query, *passages], add_special_tokens=False)
        (query_text, query_cut), *fitted = [
            keep_head_and_tail(text, encoding.offsets, max_tokens=room)
            for text, encoding in zip([query, *passages], encodings, strict=True)
        ]
        query_length, *lengths = (min(len(encoding.offsets), room) + self._special for encoding in encodings)
        if not passages:
            return LateInteractionPlan([], (), None, [], lambda count: np.zeros(count, dtype=np.float32))
        asked = Piece(query_length, EncodedText(query_text))
        encoding = self._tokenizer.encode(query_text, add_special_tokens=True)
        pieces: dict[str, Piece] = {}
        for (text, _), length in zip(fitted, lengths, strict=True):
            if text not in pieces:
                pieces[text] = Piece(length, EncodedText(text, scope, kept=True), self.cache.get(text, scope))
        return LateInteractionPlan(
            [asked, *(piece for piece in pieces.values() if piece.result is None)],
            tuple(lengths),
            asked,
            [pieces[text] for text, _ in fitted],
            # a query that was cut may lose another token when its pieces are joined
            lambda count: spread(
                None if query_cut else weights, encoding.offsets[:count], encoding.special_tokens_mask[:count]
            ),
            tuple(position for position, (_, cut) in enumerate(fitted) if cut),
            query_cut,
        )

    def run(self, pieces: Sequence[Piece]) -> None:
        """Half precision for passages always, so that a score does not depend on what the cache holds."""
        texts = [piece.content.text for piece in pieces]
        for piece, vectors in zip(pieces, self._runtime.token_vectors(texts, max_tokens=self.max_length), strict=True):
            content: EncodedText = piece.content
            piece.result = vectors
            if content.kept:
                piece.result = vectors.astype(np.float16)
                self.cache.put(content.text, piece.result, content.scope)


def max_sims(
    query: NDArray[np.float32], weights: NDArray[np.float32], passages: Sequence[NDArray[np.floating]]
) -> NDArray[np.float32]:
    """For each passage the weighted mean, over query tokens [q, dims], of the best cosine with one of its tokens
    [t, dims]. Several passages share a product, since small ones cost more to start than to compute."""
    values = np.empty(len(passages), dtype=np.float32)
    for start in range(0, len(passages), TOGETHER):
        some = passages[start : start + TOGETHER]
        borders = np.cumsum([0, *(len(passage) for passage in some[:-1])])
        cosines = np.concatenate(some).astype(np.float32, copy=False) @ query.T
        values[start : start + TOGETHER] = np.maximum.reduceat(cosines, borders, axis=0) @ weights
    return values


def spread(
    weights: QueryWeights | None, offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> NDArray[np.float32]:
    """Weights [q] of a query's tokens that add up to 1, from weighted spans of its text.

    The tokens of a word share its weight. A token that overlaps no span (a stop word, a punctuation mark) and a special
    token take FLOOR_SHARE of the mean span. Without weights all tokens count alike. Measured in
    docs/measurements/quality.md."""
    equal = np.full(len(offsets), 1 / max(len(offsets), 1), dtype=np.float32)
    if not weights:
        return equal
    owners = [
        None if is_special else next((span for span in weights if span[0] < end and start < span[1]), None)
        for (start, end), is_special in zip(offsets, special, strict=True)
    ]
    floor = FLOOR_SHARE * sum(weight for _, _, weight in weights) / len(weights)
    token_weights = np.array([owner[2] / owners.count(owner) if owner else floor for owner in owners], dtype=np.float32)
    total = float(token_weights.sum())
    return token_weights / np.float32(total) if total > 0 else equal
