"""Bounds of measures against every completion of the missing grades, measured by ir_measures."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evaluation.evaluations import ranked

from connector.evaluation.statistics.bounds import Case, Extremes, bounds_of
from connector.evaluation.statistics.measures import measure

NAMES = ("nDCG@3", "nDCG", "P@3", "R@3", "RR@3", "Success@2", "AP", "AP@3", "R(rel=2)@3", "AP(rel=2)")
IDS = "abcde"
TOP = 2


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two rankings of some of five documents, of which up to three are not judged."""
    now, before = (draw(st.permutations(IDS))[: draw(st.integers(1, 5))] for _ in range(2))
    missing = draw(st.sets(st.sampled_from(IDS), max_size=3))
    grades = {doc_id: draw(st.integers(-1, 3)) for doc_id in IDS if doc_id not in missing}
    return Case(now, before, grades, sorted(missing), TOP)


def completions(case: Case) -> list[dict[str, int]]:
    ways = product(range(case.top + 1), repeat=len(case.missing))
    return [{**case.grades, **dict(zip(case.missing, way, strict=True))} for way in ways]


def values(ranking: list[str], qrels: list[dict[str, int]]) -> dict[str, list[float]]:
    """Each measure under each completion."""
    by_id = {str(at): grades for at, grades in enumerate(qrels)}
    found = measure(dict.fromkeys(by_id, ranked(*ranking)), by_id, NAMES)
    return {name: [by_query[query_id] for query_id in by_id] for name, by_query in found.items()}


@given(cases())
def test_bounds_contain_every_completion_and_are_reached(case: Case) -> None:
    qrels = completions(case)
    now, before = values(list(case.now), qrels), values(list(case.before), qrels)
    alone = Case(case.now, (), case.grades, case.missing, case.top)
    for name in NAMES:
        bounds = bounds_of(name)
        assert bounds is not None
        found, both = bounds(alone), bounds(case)
        differences = [after - earlier for after, earlier in zip(now[name], before[name], strict=True)]

        assert (found.low, found.high) == pytest.approx((min(now[name]), max(now[name])), abs=1e-6), name
        if name.startswith("AP"):  # of two, those of each
            assert both.low <= min(differences) + 1e-6, name
            assert both.high >= max(differences) - 1e-6, name
        else:
            assert (both.low, both.high) == pytest.approx((min(differences), max(differences)), abs=1e-6), name


def test_a_relevant_document_found_late_lowers_ndcg() -> None:
    bounds = bounds_of("nDCG@10")
    assert bounds is not None

    assert bounds(Case("ab", (), {"a": 1}, "b", 3)) == Extremes(pytest.approx((1 + 3 / 1.58496) / (3 + 1 / 1.58496)), 1)


def test_a_document_that_both_have_at_the_same_rank_makes_no_difference() -> None:
    bounds = bounds_of("RR@10")
    assert bounds is not None

    assert bounds(Case("xa", "xb", {"a": 1, "b": 0}, "x", 3)) == Extremes(0, 0.5)


@pytest.mark.parametrize("name", ["Judged@10", "Bpref", "nDCG(dcg='exp-log2')@10", "P(judged_only=True)@10", "RBP"])
def test_a_measure_whose_bounds_are_not_known_has_none(name: str) -> None:
    assert bounds_of(name) is None
