"""Examples -> rows of a data set and the loss of sentence-transformers that learns from them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connector.errors import SourceError
from connector.training.examples import Candidate, Example
from connector.training.options import TAUGHT, Options

ONE_HOT = 10.0  # what an answer's label is above the others': by softmax all of the weight
SPREAD = 2.0  # standard deviations of a teacher's scores within a query, as labels
MAX_POSITIVES = 4  # of a query that become rows of their own


def build_rows(examples: Sequence[Example], options: Options) -> dict[str, list[Any]]:
    """Columns of the data set, in the order that the loss reads them. Raises SourceError where there is nothing to
    learn from."""
    scale = _scale(examples) if options.loss in TAUGHT else 1.0
    rows = [row for example in examples for row in _rows(example, options, scale)]
    if not rows:
        raise SourceError(f"no query has an answer and {options.negatives} other candidates; lower --negatives")
    return {name: [row[name] for row in rows] for name in rows[0]}


def build_loss(model: Any, options: Options) -> Any:
    """The loss for a sentence-transformers model, whose rows `build_rows` makes."""
    if options.kind == "cross-encoder":
        from sentence_transformers.cross_encoder import losses

        return {
            "listwise": losses.LambdaLoss,
            "binary": losses.BinaryCrossEntropyLoss,
            "margin-mse": losses.MarginMSELoss,
            "distill": losses.ListNetLoss,
        }[options.loss](model)
    from sentence_transformers.multi_vector_encoder import losses

    return {
        "listwise": losses.MultiVectorDistillKLDivLoss,
        "contrastive": losses.MultiVectorMultipleNegativesRankingLoss,
        "margin-mse": losses.MultiVectorMarginMSELoss,
        "distill": losses.MultiVectorDistillKLDivLoss,
    }[options.loss](model)


def _rows(example: Example, options: Options, scale: float) -> Iterator[dict[str, Any]]:
    if options.kind == "cross-encoder" and options.loss in ("listwise", "distill"):
        labels = _labels(example.candidates, options, scale)
        yield {"query": example.query, "docs": [candidate.text for candidate in example.candidates], "labels": labels}
    elif options.loss == "binary":
        for candidate in example.candidates:
            yield {"query": example.query, "doc": candidate.text, "label": float(candidate.grade > 0)}
    elif len(example.negatives) >= options.negatives:  # the rows of a batch have the same columns
        negatives = example.negatives[: options.negatives]
        for positive in example.positives[:MAX_POSITIVES]:
            row: dict[str, Any] = {"query": example.query, "positive": positive.text}
            row |= {f"negative_{position}": negative.text for position, negative in enumerate(negatives, start=1)}
            if options.loss != "contrastive":
                row["label"] = _labels([positive, *negatives], options, scale)
            yield row


def _labels(candidates: Sequence[Candidate], options: Options, scale: float) -> list[float]:
    if options.loss in TAUGHT:
        return [scale * candidate.score for candidate in candidates if candidate.score is not None]
    if options.kind == "cross-encoder":
        return [float(candidate.grade) for candidate in candidates]
    return [ONE_HOT * (candidate.grade > 0) for candidate in candidates]


def _scale(examples: Iterable[Example]) -> float:
    """What brings a teacher's scores to the same spread, whatever they are made of."""
    spreads = [statistics.pstdev([candidate.score or 0.0 for candidate in example.candidates]) for example in examples]
    spread = statistics.fmean(spreads) if spreads else 0.0
    if not spread:
        raise SourceError(
            "the teacher gives all candidates of every query the same score; there is nothing to learn from it"
        )
    return SPREAD / spread
