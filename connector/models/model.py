"""A model as whoever schedules requests sees it: it runs pieces of any requests together in a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

ModelKind = Literal["cross-encoder", "late-interaction", "encoder"]


@dataclass(slots=True, eq=False)
class Piece:
    """One input of a model: its length in tokens, what the model's plan made of it, and what the model gave once it has
    run."""

    length: int
    content: Any
    result: Any = None


class Model(ABC):
    """Runs batches. Inputs may be planned in one thread while `run` is called from another."""

    kind: ModelKind
    name: str
    max_length: int
    max_batch_tokens: int  # of the batches that run at a time, padded
    batches_at_once: int = (
        1  # that may run side by side: the cores that one has done with take what the next one brings
    )

    @property
    def batch_tokens(self) -> int:
        """Most padded tokens of one batch."""
        return max(self.max_batch_tokens // self.batches_at_once, 1)

    @abstractmethod
    def run(self, pieces: Sequence[Piece]) -> None:
        """Run one batch, of any requests, and set the pieces' results.

        Where the model fails it raises ModelError, or whatever its library does: see Batcher, which makes one of it."""
