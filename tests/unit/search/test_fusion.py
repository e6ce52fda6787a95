"""The formulas of fusion against their definitions, and what holds for any rankings."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import ids, passage, ranking

from connector.search.combination import linear, normalise, rrf
from connector.types import Hit, Ranking

doc_ids = st.text("abcdefgh", min_size=1, max_size=2)
scores = st.floats(-100, 100) | st.integers(0, 3).map(float)


@st.composite
def rankings(draw: st.DrawFn, *, unique: bool = False) -> Ranking:
    hits = draw(
        st.lists(st.builds(Hit, doc_ids, scores), max_size=12, unique_by=(lambda h: h.doc_id) if unique else None)
    )
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.doc_id)))


weights = st.floats(0, 10) | st.sampled_from([0.0, 1.0])


def reference_rrf(lists: list[Ranking], shares: list[float], rank_constant: int) -> dict[str, float]:
    """The formula of the paper, document by document."""
    totals = {}
    for doc_id in {hit.doc_id for hits, share in zip(lists, shares, strict=True) if share > 0 for hit in hits}:
        terms = []
        for hits, share in zip(lists, shares, strict=True):
            distinct = list(dict.fromkeys(ids(hits)))
            if doc_id in distinct:
                terms.append(share / (rank_constant + 1 + distinct.index(doc_id)))
        totals[doc_id] = math.fsum(terms)
    return totals


def test_rrf_adds_reciprocal_ranks() -> None:
    fused = rrf([ranking("a", "b", "c"), ranking("c", "a", "d")])

    assert fused == (
        Hit("a", 1 / 61 + 1 / 62),
        Hit("c", 1 / 63 + 1 / 61),
        Hit("b", 1 / 62),
        Hit("d", 1 / 63),
    )


def test_rrf_ranks_as_the_paper_does_with_another_constant() -> None:
    fused = rrf([ranking("a", "b"), ranking("b")], rank_constant=1)

    assert fused == (Hit("b", 1 / 3 + 1 / 2), Hit("a", 1 / 2))


def test_rrf_weighs_each_ranking() -> None:
    fused = rrf([ranking("a", "b"), ranking("b", "a")], weights=[3.0, 1.0])

    assert fused == (Hit("a", 3 / 61 + 1 / 62), Hit("b", 3 / 62 + 1 / 61))


def test_rrf_looks_at_ranks_and_never_at_scores() -> None:
    high = rrf([ranking(("a", 1e9), ("b", -1e9)), ranking("b", "c")])
    low = rrf([ranking(("a", 0.2), ("b", 0.1)), ranking("b", "c")])

    assert high == low


def test_rrf_counts_a_repeated_document_once_at_its_best_rank() -> None:
    fused = rrf([ranking("a", "b", "a", "a")])

    assert fused == (Hit("a", 1 / 61), Hit("b", 1 / 62))


def test_rrf_gives_a_ranking_of_weight_zero_no_say() -> None:
    fused = rrf([ranking("a", "b"), ranking("c", "b")], weights=[1.0, 0.0])

    assert ids(fused) == ["a", "b"]


def test_rrf_breaks_ties_by_doc_id() -> None:
    fused = rrf([ranking("z"), ranking("m"), ranking("a")])

    assert ids(fused) == ["a", "m", "z"]


def test_rrf_refuses_weights_that_do_not_match_the_rankings() -> None:
    with pytest.raises(ValueError, match="argument"):
        rrf([ranking("a")], weights=[1.0, 2.0])


@pytest.mark.parametrize("lists", [[], [()], [(), ()]])
def test_nothing_fuses_to_nothing(lists: list[Ranking]) -> None:
    both = rrf(lists), linear(lists, weights=[1.0] * len(lists))

    assert both == ((), ())


def test_fused_hits_keep_the_passages_of_all_rankings_in_turns() -> None:
    dense = (Hit("a", 1.0, (passage("a", 4), passage("a", 2))),)
    lexical = (Hit("a", 9.0, (passage("a", 7), passage("a", 4))),)

    fused = rrf([dense, lexical])

    assert [part.ordinal for part in fused[0].passages] == [4, 7, 2]


def test_a_text_beside_a_vector_and_the_whole_text_are_two_passages_though_both_are_the_first() -> None:
    near, whole = passage("a", 0, "beside the vector"), passage("a", 0, "the whole text")
    fused = rrf([(Hit("a", 1.0, (near,)),), (Hit("a", 1.0, (whole,)),), (Hit("a", 1.0, (whole,)),)], rank_constant=60)

    assert fused[0].passages == (near, whole)


def test_fused_hits_keep_the_passages_of_a_ranking_without_a_say() -> None:
    dense, lexical = (Hit("a", 1.0),), (Hit("a", 9.0, (passage("a", 7),)),)

    fused = linear([dense, lexical], weights=[1.0, 0.0])

    assert fused[0].passages == (passage("a", 7),)


def test_fusion_leaves_its_input_alone() -> None:
    first, second = ranking(("a", 2.0), ("b", 1.0)), ranking(("b", 5.0))

    rrf([first, second])
    linear([first, second], weights=[1.0, 1.0])

    assert (first, second) == (ranking(("a", 2.0), ("b", 1.0)), ranking(("b", 5.0)))


def test_linear_minmax_stretches_each_ranking_from_0_to_1() -> None:
    lexical, dense = ranking(("a", 30.0), ("b", 20.0), ("c", 10.0)), ranking(("c", 0.9), ("a", 0.1))

    fused = linear([lexical, dense], weights=[0.25, 0.75])

    assert fused == (Hit("c", 0.75), Hit("a", 0.25), Hit("b", 0.125))


def test_linear_minmax_counts_a_missing_document_as_zero() -> None:
    fused = linear([ranking(("a", 2.0), ("b", 1.0)), ranking(("c", 7.0))], weights=[1.0, 1.0])

    assert fused == (Hit("a", 1.0), Hit("c", 1.0), Hit("b", 0.0))


def test_linear_zscore_counts_a_missing_document_as_the_last() -> None:
    fused = linear([ranking(("a", 3.0), ("b", 1.0)), ranking(("c", 7.0))], weights=[1.0, 1.0], normalisation="zscore")

    assert fused == (Hit("a", 1.0), Hit("b", -1.0), Hit("c", -1.0))


def test_linear_takes_the_best_score_of_a_repeated_document() -> None:
    fused = linear([ranking(("a", 3.0), ("b", 2.0), ("a", 1.0))], weights=[1.0])

    assert fused == (Hit("a", 1.0), Hit("b", 0.0))


def test_linear_does_not_see_what_scale_a_leg_scores_in() -> None:
    dense = ranking(("b", 0.9), ("c", 0.8), ("a", 0.2))
    small, large = ranking(("a", 3.0), ("b", 1.0)), ranking(("a", 3_000.0), ("b", 1_000.0))

    orders = [ids(linear([lexical, dense], weights=[0.5, 0.5])) for lexical in (small, large)]

    assert orders[0] == orders[1]


def test_equal_scores_are_1_by_minmax_and_0_by_zscore() -> None:
    same = {"a": 5.0, "b": 5.0}

    assert (normalise(same, "minmax"), normalise(same, "zscore")) == ({"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 0.0})


def test_zscores_have_mean_0_and_deviation_1() -> None:
    values = list(normalise({"a": 1.0, "b": 4.0, "c": 9.0, "d": 16.0}, "zscore").values())

    assert sum(values) == pytest.approx(0)
    assert sum(value * value for value in values) / 4 == pytest.approx(1)


@given(st.lists(st.tuples(rankings(), weights), min_size=1, max_size=4), st.integers(1, 100))
def test_rrf_equals_the_formula(pairs: list[tuple[Ranking, float]], rank_constant: int) -> None:
    lists, shares = [hits for hits, _ in pairs], [share for _, share in pairs]

    fused = rrf(lists, weights=shares, rank_constant=rank_constant)

    assert {hit.doc_id: hit.score for hit in fused} == pytest.approx(reference_rrf(lists, shares, rank_constant))


@given(st.lists(st.tuples(rankings(), weights), min_size=1, max_size=4), st.sampled_from(["rrf", "minmax", "zscore"]))
def test_every_document_that_has_a_say_comes_once_and_in_order(pairs: list[tuple[Ranking, float]], how: str) -> None:
    lists, shares = [hits for hits, _ in pairs], [share for _, share in pairs]

    fused = rrf(lists, weights=shares) if how == "rrf" else linear(lists, weights=shares, normalisation=how)

    assert sorted(ids(fused)) == sorted({hit.doc_id for hits, share in pairs if share > 0 for hit in hits})
    assert [(-hit.score, hit.doc_id) for hit in fused] == sorted((-hit.score, hit.doc_id) for hit in fused)


@given(rankings(), rankings(), weights, weights)
def test_the_order_of_the_two_legs_does_not_matter(hits: Ranking, other: Ranking, first: float, second: float) -> None:
    pairs = [
        (rrf([hits, other], weights=[first, second]), rrf([other, hits], weights=[second, first])),
        (linear([hits, other], weights=[first, second]), linear([other, hits], weights=[second, first])),
    ]

    assert all(ids(left) == ids(right) for left, right in pairs)


@given(rankings(unique=True), st.floats(0.01, 100))
def test_one_ranking_keeps_its_order_whatever_its_weight(hits: Ranking, weight: float) -> None:
    fused = rrf([hits], weights=[weight])

    assert ids(fused) == ids(hits)


@given(rankings(unique=True), st.randoms(use_true_random=False))
def test_linear_does_not_depend_on_how_equal_scores_were_listed(hits: Ranking, chance: random.Random) -> None:
    shuffled = list(hits)
    chance.shuffle(shuffled)

    assert linear([tuple(shuffled)], weights=[1.0]) == linear([hits], weights=[1.0])
