"""The library tokenizers: a model's tokenizer without its model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

log = logging.getLogger(__name__)


def read_tokenizer(text: str) -> Any:
    """The tokenizer that the library has written as JSON. Raises ValueError."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises Exception itself
        log.debug("tokenizers cannot read this", exc_info=True)
        raise ValueError(f"it is no tokenizer ({error})") from error


def unlimited(tokenizer: Any) -> Any:
    """A copy of a fast tokenizer's core that neither truncates nor pads."""
    from tokenizers import Tokenizer

    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    core.no_truncation()
    core.no_padding()
    return core


def token_offsets(tokenizer: Any, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where each token of each text starts and ends, in characters; special tokens left out."""
    return [encoding.offsets for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
