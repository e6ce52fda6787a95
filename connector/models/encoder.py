"""Text -> vector: the encoder of passages and queries, in this process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np

from connector.errors import ModelError
from connector.models.backends import find_graph, load_graph
from connector.models.batching import batches
from connector.models.files import find_model, quiet_loading, short_name, weights_sha256
from connector.models.model import Model, ModelKind, Piece
from connector.schema import EncoderFingerprint
from connector.types import Vector, Vectors

SAMPLE = ("refunds", "How long is a deal registered for a tier-2 partner in Größe, after January 2024?")
MIN_COSINE = 0.9999  # of a graph's vectors with the model's own
GRAPH_BATCH_TOKENS = (
    2_048  # at most: a CPU gains nothing by larger batches, and onnxruntime keeps the memory of the largest
)


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
class Input:
    """What a piece holds: a text, and whether it is a query, which some models prefix otherwise than a passage."""

    text: str
    is_query: bool


@dataclass(frozen=True, slots=True)
class EncodingPlan:
    """Texts to be encoded, a piece each; a piece's result is its vector [dims]."""

    pieces: Sequence[Piece]


class SentenceTransformerEncoder(Model):
    """Any sentence-transformers model that fits in this process. Thread-safe; one text batch runs at a time."""

    kind: ModelKind = "encoder"
    queries_at_once = 1

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Literal["torch", "onnx"] = "torch",
        max_batch_tokens: int = 16_384,
    ) -> None:
        from sentence_transformers import SentenceTransformer

        quiet_loading()
        folder = find_model(model)
        try:
            self._model = SentenceTransformer(
                str(folder),
                device=device if backend == "torch" else "cpu",
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"cannot load the encoder {model!r}: {error}") from error
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"encoder {model!r} has no fast tokenizer, which passage borders are found with")
        self._backend = unlimited(tokenizer)
        self.max_batch_tokens = max_batch_tokens
        self._lock = threading.Lock()
        self._for_queries: Any = None
        self._for_passages: Callable[[], Any] | None = None
        max_tokens = self._model.max_seq_length or tokenizer.model_max_length
        dims = self._model.get_embedding_dimension()
        if not dims:
            raise ModelError(f"encoder {model!r} does not say how many dimensions its vectors have")
        self.fingerprint = EncoderFingerprint(
            name=short_name(model), sha256=weights_sha256(folder), dims=dims, max_tokens=int(max_tokens)
        )
        self.name = self.fingerprint.name
        self.max_length = self.fingerprint.max_tokens
        if backend != "torch":
            self._take_graph(backend)

    def _take_graph(self, backend: Literal["onnx"]) -> None:
        """Run the transformer as a graph, the one that late interaction takes too: queries on one core, as fast for one short
        text, so that the legs keep the others; passages on all, once there are any. Raises ModelError where vectors differ."""
        expected = [self.encode_query(text) for text in SAMPLE]
        transformer = self._model[0].model
        file = find_graph(transformer, backend, identity=f"{self.fingerprint.sha256}:late-interaction")
        self._for_queries = load_graph(file, transformer, threads=1)
        self._for_passages = cache(lambda: load_graph(file, transformer))
        self.max_batch_tokens = min(self.max_batch_tokens, GRAPH_BATCH_TOKENS)
        nearest = min(float(self.encode_query(text) @ vector) for text, vector in zip(SAMPLE, expected, strict=True))
        if nearest < MIN_COSINE:
            raise ModelError(
                f"the graph of encoder {self.fingerprint.name!r} gives other vectors than the model (cosine {nearest:.5f}); "
                "use encoder.backend: torch"
            )

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.fingerprint.dims), dtype=np.float32)
        pieces = self.plan(texts).pieces
        for batch in batches([piece.length for piece in pieces], max_batch_tokens=self.max_batch_tokens):
            self.run([pieces[position] for position in batch])
            vectors[batch] = [pieces[position].result for position in batch]
        return vectors

    def plan(self, texts: Sequence[str], *, are_queries: bool = False) -> EncodingPlan:
        """Find out how long the texts are."""
        return EncodingPlan(
            [
                Piece(min(len(offsets) + 2, self.max_length), Input(text, are_queries))
                for text, offsets in zip(texts, self.token_offsets(texts), strict=True)
            ]
        )

    def run(self, pieces: Sequence[Piece]) -> None:
        for are_queries in (False, True):
            chosen = [piece for piece in pieces if piece.content.is_query is are_queries]
            if not chosen:
                continue
            with self._lock, _torch_errors():
                if self._for_passages:
                    self._model[0].model = self._for_passages()
                encode = self._model.encode_query if are_queries else self._model.encode_document
                vectors = encode(
                    [piece.content.text for piece in chosen],
                    batch_size=len(chosen),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
            for piece, vector in zip(chosen, vectors, strict=True):
                piece.result = np.asarray(vector, dtype=np.float32)

    def encode_query(self, text: str) -> Vector:
        with self._lock, _one_thread(), _torch_errors():
            if self._for_queries:
                self._model[0].model = self._for_queries
            encoded = self._model.encode_query([text], normalize_embeddings=True, show_progress_bar=False)
        vector: Vector = np.asarray(encoded[0], dtype=np.float32)
        return vector

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return token_offsets(self._backend, texts)

    def tokenizer_json(self) -> str:
        """The tokenizer, which neither cuts nor pads, as the library tokenizers writes it."""
        written: str = self._backend.to_str()
        return written


def token_offsets(tokenizer: Any, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """See Encoder.token_offsets; `tokenizer` is one of the library tokenizers."""
    return [encoding.offsets for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Within the block this thread's torch uses one core: as fast for one short text, and the legs keep the others."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _torch_errors() -> Iterator[None]:
    """What torch and onnxruntime raise, out of memory for one, as an error of ours."""
    try:
        yield
    except Exception as error:  # onnxruntime's are no RuntimeErrors
        raise ModelError(f"the encoder failed: {error}") from error


def unlimited(tokenizer: Any) -> Any:
    """A copy of a fast tokenizer's core that neither truncates nor pads."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend
