"""What runs an encoder's network, torch or a graph: the seam that encoder and late interaction read vectors through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connector.types import Vectors

DEFAULT_MAX_TOKENS = 512  # of a text, where a model says nothing
MIN_COSINE = 0.9999  # of a graph's vectors with the model's own


@dataclass(frozen=True, slots=True)
class Recipe:
    """How texts become inputs of a network, and what is known of the vectors that come out."""

    tokenizer: str  # as the library tokenizers writes it; it neither cuts nor pads
    pad_token: str
    pad_id: int
    pad_type_id: int
    pad_on: str  # the side: left or right
    max_tokens: int  # of a text, special tokens included
    dims: int  # of a text's vector; 0 where the model makes none
    query_prompt: str  # what goes before a text
    passage_prompt: str
    text_cosine: float = 1.0  # of a graph's text vectors with the model's own, the lowest of a sample


class Runtime(Protocol):
    """Runs as many batches at a time as it says, each in a thread of its own."""

    batches_at_once: int
    recipe: Recipe

    def token_vectors(self, texts: Sequence[str], *, max_tokens: int) -> list[NDArray[np.float32]]:
        """Unit vectors [tokens, dims] of each text's tokens, special tokens included; what is beyond `max_tokens` is
        cut off."""
        ...

    def text_vectors(self, texts: Sequence[str], *, are_queries: bool, one_core: bool = False) -> Vectors:
        """Unit vectors [n, dims] of texts, which take their prompt here. `one_core`: use no more than one."""
        ...


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors [..., dims] at length 1; one without a length stays as it is."""
    lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return vectors / lengths
