"""The final order of a window: four signals, each a z-score among what was scored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import ids, passage, ranking

from connector.search.stages.order import blend, explain_blend, whole_order
from connector.settings.search import StageSettings
from connector.types import Hit, Ranking

WINDOW = ranking(("a", 0.9), ("b", 0.8), ("c", 0.1), ("unscored", 0.05))
LEXICAL = ranking(("c", 7.0), ("a", 5.0), ("below", 1.0))
DENSE = ranking(("b", 0.9), ("unscored", 0.8), ("a", 0.7), ("c", 0.5))
RERANKED = ranking(("c", 5.0), ("b", 4.0), ("a", -3.0))
LEGS = {"lexical": LEXICAL, "dense": DENSE}
DEFAULTS = StageSettings().weights_with(LEGS, "late-interaction")


def weights(**given: float) -> dict[str, float]:
    return StageSettings(weights=given).weights_with(LEGS, "cross-encoder")


def zscores(*values: float) -> list[float]:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation for value in values]


def test_the_final_score_is_the_weighted_sum_of_z_scores_among_what_was_scored() -> None:
    final = blend(WINDOW, LEGS, RERANKED, DEFAULTS)
    fused, dense, scores = zscores(0.9, 0.8, 0.1), zscores(0.7, 0.9, 0.5), zscores(-3, 4, 5)
    lexical = [-1.0, -1.0, 1.0]  # the leg has no b, which counts as its last

    assert {hit.doc_id: hit.score for hit in final} == pytest.approx(
        {
            doc_id: 0.2 * fused[at] + 0.25 * lexical[at] + 0.25 * dense[at] + 0.3 * scores[at]
            for at, doc_id in enumerate("abc")
        }
    )


@pytest.mark.parametrize(
    ("kind", "legs", "expected"),
    [
        ("late-interaction", ["lexical", "dense"], [0.2, 0.25, 0.25, 0.3]),
        ("cross-encoder", ["lexical", "dense"], [0.2, 0.2, 0.2, 0.4]),
        ("what no worker of today says", ["lexical", "dense"], [0.2, 0.2, 0.2, 0.4]),
        ("late-interaction", ["lexical", "dense", "titles", "other", "more"], [0.2, *[0.1] * 5, 0.3]),
        ("cross-encoder", ["dense"], [0.2, 0.4, 0.4]),
    ],
)
def test_by_default_the_kind_of_the_reranker_decides_what_it_counts(
    kind: str, legs: list[str], expected: list[float]
) -> None:
    assert list(StageSettings().weights_with(legs, kind).values()) == pytest.approx(expected)
    assert StageSettings(weights={"rerank": 3}).weights_with(legs, kind)["rerank"] == 3


@pytest.mark.parametrize(("given_weights", "expected"), [({"rerank": 1}, "cba"), ({"before": 1}, "abc")])
def test_a_signal_alone_is_its_own_order(given_weights: dict[str, float], expected: str) -> None:
    assert "".join(ids(blend(WINDOW, LEGS, RERANKED, weights(**given_weights)))) == expected


def test_legs_move_hits() -> None:
    base = {"before": 0.5, "rerank": 0.5}

    assert ids(blend(WINDOW, LEGS, RERANKED, weights(**base, lexical=9))) == ["c", "b", "a"]
    assert ids(blend(WINDOW, LEGS, RERANKED, weights(**base, dense=9))) == ["b", "a", "c"]


@pytest.mark.parametrize("legs", [{}, {"lexical": LEXICAL}, {"lexical": (), "dense": ()}, {"dense": ranking(("x", 1))}])
def test_a_leg_that_is_not_there_or_found_none_of_it_has_no_say(legs: Mapping[str, Ranking]) -> None:
    final = blend(WINDOW, legs, RERANKED, DEFAULTS)
    explained = explain_blend(WINDOW, legs, RERANKED, DEFAULTS, ids(final))

    assert sorted(ids(final)) == ["a", "b", "c"]
    assert all("dense" not in explanation.parts for explanation in explained.values())


def test_one_hit_and_equal_scores_are_all_0_and_go_by_doc_id() -> None:
    equal = ranking(("z", 2.0), ("m", 2.0), ("a", 2.0))

    assert blend(WINDOW[:1], LEGS, ranking(("a", 3.0)), DEFAULTS) == (Hit("a", 0.0),)
    assert [(hit.doc_id, hit.score) for hit in blend(equal, {"lexical": equal}, equal, DEFAULTS)] == [
        ("a", 0.0), ("m", 0.0), ("z", 0.0)
    ]  # fmt: skip


def test_equal_rerank_scores_leave_the_order_to_the_first_stage() -> None:
    equal = ranking(("a", 1.0), ("b", 1.0), ("c", 1.0))

    assert ids(blend(WINDOW, {}, equal, DEFAULTS)) == ["a", "b", "c"]


def test_a_document_keeps_the_passage_that_the_reranker_scored() -> None:
    near = (Hit("a", 1.0, (passage("a", 0),)),)
    best = (Hit("a", 1.0, (passage("a", 3),)),)

    assert blend(near, {"dense": near}, best, DEFAULTS)[0].passages == (passage("a", 3),)


def test_what_was_not_scored_comes_after_the_window_in_fused_order() -> None:
    fused = (*WINDOW, *ranking(("below", 0.01)))

    order = whole_order(blend(WINDOW, LEGS, RERANKED, DEFAULTS), fused)

    assert sorted(ids(order[:3])) == ["a", "b", "c"]
    assert ids(order[3:]) == ["unscored", "below"]


SCORES = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(SCORES, min_size=1, max_size=8), st.floats(0.01, 10), st.floats(-100, 100))
def test_the_scale_and_the_zero_of_a_reranker_do_not_matter(scores: list[float], scale: float, zero: float) -> None:
    window = ranking(*((f"d{at}", 1 / (60 + at)) for at in range(len(scores))))
    of_documents = dict(zip(ids(window), scores, strict=True))

    def final(change: float, shift: float) -> dict[str, float]:
        reranked = ranking(*((doc_id, score * change + shift) for doc_id, score in of_documents.items()))
        return {hit.doc_id: hit.score for hit in blend(window, {}, reranked, DEFAULTS)}

    if max(scores) - min(scores) > 1:  # else what is left of the digits
        assert final(scale, zero) == pytest.approx(final(1, 0), abs=1e-3)
