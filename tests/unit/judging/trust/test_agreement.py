"""Agreement of judges against scikit-learn, scipy and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.judging.trust.agreement import compare_judges, weighted_kappa
from connector.judging.trust.order import compare_orders, kendall_taus
from connector.types import Hit

GRADE = st.integers(0, 3)


def by_pair(grades: list[int], per_query: int = 5) -> dict[tuple[str, str], int]:
    return {(f"q{at // per_query}", f"d{at}"): grade for at, grade in enumerate(grades)}


@given(st.lists(st.tuples(GRADE, GRADE), min_size=1, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    first, second = zip(*pairs, strict=True)
    found = compare_judges(("a", by_pair(first)), ("b", by_pair(second)), samples=2)
    if len({*first}) == len({*second}) == 1 and first[0] == second[0]:
        assert found.kappa is None
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(first, second, labels=range(4), weights="quadratic"))
    assert found.pairs == len(pairs)
    assert found.same == pytest.approx(np.mean(np.equal(first, second)))
    assert found.lean == pytest.approx(np.mean(second) - np.mean(first))


def test_kappa_of_a_table_is_linear_in_nothing_but_squares() -> None:
    """Worked by hand: seen (1·10 + 4·5) / 100 = .3; by chance Σ row·column·distance² / 100² = 1.35."""
    table = np.array([[30, 5, 5, 0], [0, 30, 0, 0], [0, 0, 10, 5], [0, 0, 0, 15]])
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    chance = sum(rows[i] * columns[j] * (i - j) ** 2 for i in range(4) for j in range(4)) / 100

    assert weighted_kappa(table) == pytest.approx(1 - 30 / chance)


def test_the_interval_holds_the_true_kappa_in_about_95_of_100_worlds() -> None:
    random = np.random.default_rng(5)

    def flips(grades):
        return np.where(random.random(grades.size) < 0.3, random.integers(0, 4, grades.size), grades)

    true = 0.7  # the share that is no chance, since both judges give each grade as often
    held = 0
    for _ in range(60):
        grades = random.integers(0, 4, 200)
        low, high = compare_judges(("a", by_pair([*grades])), ("b", by_pair([*flips(grades)])), samples=300).interval
        held += low <= true <= high

    assert 50 <= held <= 60


def test_what_only_one_judged_is_left_out_and_one_query_has_no_interval() -> None:
    found = compare_judges(("a", by_pair([0, 1, 2, 3])), ("b", by_pair([0, 1, 2])))

    assert (found.pairs, found.kappa, found.interval) == (3, 1.0, None)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_tau_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    from scipy.stats import kendalltau

    first, second = np.array(pairs, dtype=float).T
    expected = kendalltau(first, second).statistic

    assert kendall_taus(first[:, None], second[:, None])[0] == pytest.approx(expected, nan_ok=True)


def test_judges_who_agree_order_pipelines_alike_and_one_who_turns_grades_round_does_not() -> None:
    grades = {(f"q{query}", f"d{rank}"): 3 - rank for query in range(8) for rank in range(4)}
    orders = {"best": [0, 1, 2, 3], "good": [1, 0, 2, 3], "poor": [3, 2, 0, 1], "worst": [3, 2, 1, 0]}
    runs = {
        name: {f"q{query}": tuple(Hit(f"d{rank}", -at) for at, rank in enumerate(order)) for query in range(8)}
        for name, order in orders.items()
    }
    turned = {pair: 3 - grade for pair, grade in grades.items()}
    alike = compare_orders(runs, grades, grades, measured="nDCG@3", samples=50)
    contrary = compare_orders(runs, grades, turned, measured="nDCG@3", samples=50)

    assert (alike.tau, alike.interval, alike.same_best, alike.queries) == (1.0, (1.0, 1.0), 1.0, 8)
    assert (contrary.tau, contrary.same_best) == (-1.0, 0.0)
    assert list(alike.first_means) == list(orders)
    assert compare_orders({"best": runs["best"]}, grades, grades, measured="nDCG@3") is None
