"""Scores between 0 and 1: what a reply shows of the model's own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.models.scorer import ScorerKind, Scores, between_0_and_1
from connector.worker.wire import best_first

LOGITS = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20)


def shown_scores(kind: ScorerKind, *values: float) -> list[float]:
    """What is told of scores, in the order of the passages."""
    scores = between_0_and_1(Scores(np.array(values, dtype=np.float32)), kind)
    return [score for _, score in sorted(best_first(scores, None))]


def test_a_cross_encoders_scores_are_the_sigmoid_of_its_logits() -> None:
    assert shown_scores("cross-encoder", 0.0, 2.0, -2.0) == [0.5, 0.880797077977882, 0.119202922022118]


def test_good_scores_that_32_bits_round_to_1_are_still_told_apart() -> None:
    best, second = shown_scores("cross-encoder", 20.0, 19.0)

    assert 1.0 > best > second > 0.999999


def test_late_interactions_scores_are_moved_from_minus_1_to_1_to_0_to_1() -> None:
    assert shown_scores("late-interaction", -1.0, 0.0, 0.5, 1.0, 1.0000001) == [0.0, 0.5, 0.75, 1.0, 1.0]


@given(LOGITS, st.sampled_from(["cross-encoder", "late-interaction"]))
def test_whatever_is_shown_lies_between_0_and_1_and_keeps_the_order(values: list[float], kind: ScorerKind) -> None:
    raw = Scores(np.array(values, dtype=np.float32))

    replied = best_first(between_0_and_1(raw, kind), None)

    assert [index for index, _ in replied] == [index for index, _ in best_first(raw, None)]
    assert all(0.0 <= score <= 1.0 for _, score in replied)
    assert [score for _, score in replied] == sorted((score for _, score in replied), reverse=True)


@given(LOGITS)
def test_no_score_is_of_more_than_18_characters(values: list[float]) -> None:
    """OpenSearch takes a longer number for a BigDecimal, and its rerank connector then fails."""
    assert all(len(json.dumps(score)) <= 18 for score in shown_scores("cross-encoder", *values))


def test_what_was_not_scored_is_not_shown() -> None:
    scores = Scores(np.array([1.0, math.nan], dtype=np.float32), unscored=(1,))

    assert best_first(between_0_and_1(scores, "cross-encoder"), None) == [(0, pytest.approx(0.7310585786))]
