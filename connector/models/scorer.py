"""What rates (query, passage) pairs: the seam that every reranker fits.

A scorer plans a request into pieces, inputs of its model; pieces of any requests run together in a batch; and a plan
reads its scores off those of its pieces that have run. So whoever holds several plans decides what runs when."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.batching import batches
from connector.models.files import find_model, read_config, read_saved_class
from connector.models.model import Model, Piece

ScorerKind = Literal["cross-encoder", "late-interaction"]
# character spans of a query and what the words in them count: (start, end, weight)
QueryWeights = Sequence[tuple[int, int, float]]


class Cancelled(Exception):
    """The caller no longer wants the scores."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores [n] in the order of the passages, not a number where one was not scored in time; the positions of the
    passages that were cut to fit; how many tokens the model read for each passage [n].

    `mapped` is what a reply holds instead of `values`: numbers from 0 to 1, in the same order."""

    values: NDArray[np.float32]
    truncated: tuple[int, ...] = ()
    query_truncated: bool = False
    lengths: tuple[int, ...] = ()
    unscored: tuple[int, ...] = ()
    mapped: tuple[float, ...] | None = None

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


class ScoringPlan(ABC):
    """One request as a scorer sees it."""

    pieces: Sequence[Piece]  # that have yet to run, those that matter first
    lengths: tuple[int, ...]  # tokens of each passage as the model reads it
    truncated: tuple[int, ...] = ()
    query_truncated: bool = False

    @abstractmethod
    def values(self) -> NDArray[np.float32]:
        """Scores [n] from the pieces that have run; not a number for the others."""

    def scores(self) -> Scores:
        # first, so that a piece which runs meanwhile, in the model's thread, counts as unscored
        unscored = tuple(position for position in range(len(self.lengths)) if not self.has_run(position))
        values = self.values()
        values[list(unscored)] = np.nan
        return Scores(values, self.truncated, self.query_truncated, self.lengths, unscored)

    @abstractmethod
    def has_run(self, position: int) -> bool:
        """Whether all that the score of a passage needs has run."""


class Scorer(Model):
    """Rates passages for a query; higher is better. A cross-encoder gives logits, late interaction mean cosines."""

    kind: ScorerKind
    fingerprint: str

    @abstractmethod
    def plan(
        self, query: str, passages: Sequence[str], *, weights: QueryWeights | None = None, scope: str = ""
    ) -> ScoringPlan:
        """Tokenize, and cut what is too long. `weights` may be ignored.

        What is remembered of the passages is found again in the same `scope` only."""

    def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        check: Callable[[], None] = lambda: None,
    ) -> Scores:
        """One request by itself. `check` is called before each batch and may raise Cancelled."""
        plan = self.plan(query, passages, weights=weights, scope=scope)
        pieces = plan.pieces
        for batch in batches([piece.length for piece in pieces], max_batch_tokens=self.max_batch_tokens):
            check()
            self.run([pieces[position] for position in batch])
        return plan.scores()


def between_0_and_1(scores: Scores, kind: ScorerKind) -> Scores:
    """The scores, mapped to numbers from 0 to 1: the sigmoid of a cross-encoder's logit, as TEI and Infinity give it;
    (1 + s) / 2 of a mean of cosines s."""
    show = _sigmoid if kind == "cross-encoder" else _half_up
    return replace(scores, mapped=tuple(show(float(str(value))) for value in scores.values))


def _sigmoid(logit: float) -> float:
    """In 64 bits, in which good scores are still told apart; of what is no number, no number."""
    if logit > 0:
        return 1 / (1 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1 + odds)


def _half_up(cosine: float) -> float:
    return min(max((1 + cosine) / 2, 0.0), 1.0)  # a cosine of 32 bits may come out a little beyond 1


def detect_kind(model: str) -> ScorerKind:
    """A cross-encoder says so in its configuration: by what sentence-transformers saved it as, or by a sequence
    classification head. All else is an encoder.

    Raises ModelError for a language model of which neither is said."""
    folder = find_model(model)
    saved_as = read_saved_class(folder)
    if saved_as:
        return "cross-encoder" if saved_as == "CrossEncoder" else "late-interaction"
    architectures = read_config(folder).get("architectures") or []
    if any(name.endswith("ForCausalLM") for name in architectures) and not (folder / "modules.json").is_file():
        raise ModelError(
            f"{model!r} is a language model without the modules that make a reranker or an encoder of it; "
            "give one that sentence-transformers has saved as a CrossEncoder, or another reranker"
        )
    is_pair_model = any("SequenceClassification" in name for name in architectures)
    return "cross-encoder" if is_pair_model else "late-interaction"
