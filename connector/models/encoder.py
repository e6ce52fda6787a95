"""Text -> vector: the encoder of passages and queries."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np

from connector.errors import ModelError
from connector.models.backends import find_graph, load_graph
from connector.models.batching import batches
from connector.models.files import find_model, quiet_loading, short_name, weights_sha256
from connector.schema import EncoderFingerprint
from connector.types import Vector, Vectors

SAMPLE = ("refunds", "How long is a deal registered for a tier-2 partner in Größe, after January 2024?")
MIN_COSINE = 0.9999  # of a graph's vectors with the model's own


class Encoder(Protocol):
    """Turns text into unit vectors."""

    fingerprint: EncoderFingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors [n, dims] of passages."""
        ...

    def encode_query(self, text: str) -> Vector:
        """The vector [dims] of a query."""
        ...

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where each token of each text starts and ends, in characters; special tokens left out."""
        ...


class SentenceTransformerEncoder:
    """Any sentence-transformers model that fits in this process. Thread-safe; one text batch runs at a time."""

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
        self._max_batch_tokens = max_batch_tokens
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
        nearest = min(float(self.encode_query(text) @ vector) for text, vector in zip(SAMPLE, expected, strict=True))
        if nearest < MIN_COSINE:
            raise ModelError(
                f"the graph of encoder {self.fingerprint.name!r} gives other vectors than the model (cosine {nearest:.5f}); "
                "use encoder.backend: torch"
            )

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.fingerprint.dims), dtype=np.float32)
        lengths = [min(len(offsets) + 2, self.fingerprint.max_tokens) for offsets in self.token_offsets(texts)]
        for batch in batches(lengths, max_batch_tokens=self._max_batch_tokens):
            chosen = [texts[position] for position in batch]
            with self._lock, _torch_errors():
                if self._for_passages:
                    self._model[0].model = self._for_passages()
                vectors[batch] = self._model.encode_document(
                    chosen, batch_size=len(chosen), normalize_embeddings=True, show_progress_bar=False
                )
        return vectors

    def encode_query(self, text: str) -> Vector:
        with self._lock, _one_thread(), _torch_errors():
            if self._for_queries:
                self._model[0].model = self._for_queries
            encoded = self._model.encode_query([text], normalize_embeddings=True, show_progress_bar=False)
        vector: Vector = np.asarray(encoded[0], dtype=np.float32)
        return vector

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [encoding.offsets for encoding in self._backend.encode_batch(list(texts), add_special_tokens=False)]


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
