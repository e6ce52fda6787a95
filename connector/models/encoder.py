"""Text -> vector: the encoder of passages and queries, in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from connector.errors import ModelError
from connector.models.backends import open_runtime
from connector.models.batching import batches
from connector.models.description import read_pooling
from connector.models.files import find_model, short_name, weights_sha256
from connector.models.model import Model, ModelKind, Piece
from connector.models.runtime import MIN_COSINE
from connector.models.tokenizer import read_tokenizer, token_offsets
from connector.schema import EncoderFingerprint
from connector.settings.sections import EncoderSettings
from connector.types import Vector, Vectors

DEFAULTS = EncoderSettings()
log = logging.getLogger(__name__)


class Encoder(Protocol):
    """Turns text into unit vectors."""

    fingerprint: EncoderFingerprint
    queries_at_once: int  # calls of encode_query that are worth making from several threads

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors [n, dims] of passages."""
        ...

    def encode_query(self, text: str) -> Vector:
        """The vector [dims] of a query."""
        ...

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where each token of each text starts and ends, in characters; special tokens left out."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """What a piece holds: a text, and whether it is a query, which some models prefix otherwise than a passage."""

    text: str
    is_query: bool


@dataclass(frozen=True, slots=True)
class EncodingPlan:
    """Texts to be encoded, a piece each; a piece's result is its vector [dims]."""

    pieces: Sequence[Piece]


class LocalEncoder(Model):
    """Any sentence-transformers model that fits in this process. Thread-safe; one text batch runs at a time."""

    kind: ModelKind = "encoder"
    queries_at_once = 1

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Literal["torch", "onnx"] = "torch",
        max_batch_tokens: int = DEFAULTS.max_batch_tokens,
    ) -> None:
        """Raises ModelError, also where a graph's vectors would not be the model's."""
        folder = find_model(model)
        self._runtime = open_runtime(folder, backend, device=device)
        recipe = self._runtime.recipe
        if not recipe.dims:
            raise ModelError(f"encoder {model!r} does not say how many dimensions its vectors have")
        if recipe.text_cosine < MIN_COSINE:
            raise ModelError(
                f"the graph of encoder {model!r} gives other vectors than the model (cosine {recipe.text_cosine:.5f}); "
                "use encoder.backend: torch"
            )
        self.max_batch_tokens = max_batch_tokens
        self._lock = threading.Lock()
        self.fingerprint = EncoderFingerprint(
            name=short_name(model),
            sha256=weights_sha256(folder),
            dims=recipe.dims,
            max_tokens=recipe.max_tokens,
            query_prompt=recipe.query_prompt,
            passage_prompt=recipe.passage_prompt,
            pooling=read_pooling(folder),
        )
        self.name = self.fingerprint.name
        self.max_length = recipe.max_tokens

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.fingerprint.dims), dtype=np.float32)
        pieces = self.plan(texts).pieces
        for batch in batches([piece.length for piece in pieces], max_batch_tokens=self.max_batch_tokens):
            with _logged():
                self.run([pieces[position] for position in batch])
            vectors[batch] = [pieces[position].result for position in batch]
        return vectors

    def plan(self, texts: Sequence[str], *, are_queries: bool = False) -> EncodingPlan:
        """Find out how long the texts are."""
        return EncodingPlan(
            [
                Piece(min(len(offsets) + 2, self.max_length), EncoderInput(text, are_queries))
                for text, offsets in zip(texts, self.token_offsets(texts), strict=True)
            ]
        )

    def run(self, pieces: Sequence[Piece]) -> None:
        for are_queries in (False, True):
            chosen = [piece for piece in pieces if piece.content.is_query is are_queries]
            if chosen:
                vectors = self._vectors([piece.content.text for piece in chosen], are_queries=are_queries)
                for piece, vector in zip(chosen, vectors, strict=True):
                    piece.result = vector

    def encode_query(self, text: str) -> Vector:
        # one core is as fast for one short text, and the legs keep the others
        with _logged():
            vector: Vector = self._vectors([text], are_queries=True, one_core=True)[0]
        return vector

    def _vectors(self, texts: Sequence[str], *, are_queries: bool, one_core: bool = False) -> Vectors:
        try:
            with self._lock:
                return self._runtime.text_vectors(texts, are_queries=are_queries, one_core=one_core)
        except (RuntimeError, MemoryError) as error:  # of torch, or of a graph: see Session.run
            raise ModelError(f"the encoder failed: {error}") from error

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return token_offsets(self._tokenizer, texts)

    @cached_property
    def _tokenizer(self) -> Any:
        """Neither cuts nor pads; a search, which encodes one query, does without."""
        return read_tokenizer(self.tokenizer_json())

    def tokenizer_json(self) -> str:
        """The tokenizer, which neither cuts nor pads, as the library tokenizers writes it."""
        return self._runtime.recipe.tokenizer


@contextmanager
def _logged() -> Iterator[None]:
    """Around what no batcher runs, which has a log of its own: a search goes on without the vector, so that a fault
    would be seen nowhere. Too little memory is none."""
    try:
        yield
    except ModelError as error:
        level = logging.DEBUG if isinstance(error.__cause__, MemoryError) else logging.ERROR
        log.log(level, "the encoder failed", exc_info=True)
        raise
