"""Whether a faster form of a scorer still ranks as the scorer does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from connector.errors import ModelError
from connector.models.scorer import Scorer

DEPTH = 10
MIN_OVERLAP = 0.9
TIMED = 3  # queries of the sample for which no scorer may use what it remembers of passages


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over the sample: the mean share of each query's first ten that both scorers name, the largest difference of two
    scores, and how many times as fast the other scorer was."""

    overlap: float
    largest_difference: float
    speedup: float


def compare(scorer: Scorer, other: Scorer) -> Agreement:
    """How far the two agree on the sample's 8 queries and 32 passages."""
    sample = json.loads(files("connector.models").joinpath("sample.json").read_text(encoding="utf-8"))
    overlaps, differences, seconds = [], [], [0.0, 0.0]
    for rated in (scorer, other):
        rated.score(sample["queries"][0], sample["passages"][:2])  # what the first call sets up is not its speed
    for at, query in enumerate(sample["queries"]):
        values = []
        for which, rated in enumerate((scorer, other)):
            began = time.perf_counter()
            # what a scorer remembers of passages is not its speed either, and the same for later queries
            values.append(rated.score(query, sample["passages"], scope=f"agreement{min(at, TIMED - 1)}").values)
            seconds[which] += time.perf_counter() - began if at < TIMED else 0.0
        first, second = (set(np.argsort(-scores, kind="stable")[:DEPTH].tolist()) for scores in values)
        overlaps.append(len(first & second) / DEPTH)
        differences.append(float(np.abs(values[0] - values[1]).max()))
    return Agreement(float(np.mean(overlaps)), max(differences), seconds[0] / seconds[1])


def require_agreement(found: Agreement, model: str, backend: str) -> None:
    """Raise ModelError where the two rank so differently that one cannot stand for the other."""
    if found.overlap < MIN_OVERLAP:
        raise ModelError(
            f"{model!r} by {backend} names only {found.overlap:.0%} of the same first {DEPTH} passages as the "
            "original; run it with worker.backend: onnx (exact) or torch"
        )
