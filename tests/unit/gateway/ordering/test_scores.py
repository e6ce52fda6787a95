"""What `_score` says: it falls over all pages, and stays positive."""

from __future__ import annotations

import math

import pytest
from support.parts import ranking

from connector.gateway.ordering.scores import tail_score, window_scores


def test_the_lexical_scores_are_dealt_out_in_their_order() -> None:
    order = ranking("d", "b", "a", "c")
    scores = window_scores("lexical", order, lexical=[2.0, 3.0, 1.5], dense=(), placed=frozenset())

    assert scores == (3.0, 2.0, 1.5, 1.5)
    assert tail_score("lexical", 9.0, scores) == 1.5
    assert tail_score("lexical", 1.0, scores) == 1.0


def test_what_only_dense_legs_found_has_scores_too() -> None:
    dense = ranking(("a", 0.5), ("b", -0.9))

    assert window_scores("lexical", ranking("b", "a"), lexical=[], dense=dense, placed=frozenset()) == pytest.approx(
        (0.75, 0.05)
    )


def test_scores_of_the_model_fall_and_stand_above_the_tail() -> None:
    order = ranking(("a", 2.0), ("b", 2.5), ("c", 0.02), ("d", 0.01))
    scores = window_scores("model", order, lexical=[9.0], dense=(), placed=frozenset({"a", "b"}))

    assert list(scores) == sorted(scores, reverse=True)
    assert all(1 < score <= 2 for score in scores)
    assert 0 < tail_score("model", 12.0, scores) < 1
    assert math.isclose(tail_score("model", 1.0, scores), 0.5)
