"""What runs a cross-encoder's network, torch or a graph: the seam that its scorer reads logits through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ENCODED_AS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}  # by tokenizers
PairInputs = dict[str, NDArray[np.int64]]  # [pairs, tokens] by name


class PairRuntime(Protocol):
    """Runs as many batches at a time as it says, each in a thread of its own."""

    batches_at_once: int
    tokenizer: Any  # of the library tokenizers; it neither cuts nor pads
    special: int  # tokens of an input beside those of query and passage
    max_tokens: int  # of an input
    labels: int  # logits of an input

    def logits(self, pairs: Sequence[tuple[str, str]], *, max_tokens: int) -> NDArray[np.float32]:
        """The logits [n] of pairs, before any activation; what is beyond `max_tokens` is cut off."""
        ...


def encode_pairs(
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    pads_with: Mapping[str, int],
    *,
    max_tokens: int,
    widths: int = 1,
    pad_on: str = "right",
) -> PairInputs | None:
    """Inputs as wide as a multiple of `widths` if they may; None where a pair is longer than `max_tokens`."""
    encodings = tokenizer.encode_batch(list(pairs))
    longest = max(len(encoding) for encoding in encodings)
    if longest > max_tokens:
        return None
    wide = min(-(-longest // widths) * widths, max_tokens)
    inputs = {name: np.full((len(pairs), wide), value, dtype=np.int64) for name, value in pads_with.items()}
    for (name, column), (row, encoding) in product(inputs.items(), enumerate(encodings)):
        used = slice(len(encoding)) if pad_on == "right" else slice(wide - len(encoding), wide)
        column[row, used] = getattr(encoding, ENCODED_AS[name])
    return inputs
