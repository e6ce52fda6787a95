"""Queries that count by a number of theirs, in every mean and test of an evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.errors import SettingsError
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.files.weights import equal_queries, weigh
from connector.evaluation.report.figures import build_figures
from connector.evaluation.statistics.significance import compare, standard_error

QRELS = {"q1": {"good": 1}, "q2": {"good": 1}, "q3": {"good": 1}}


def judged(**frequencies: str) -> Collection:
    made = collection(QRELS)
    labels = {query_id: {"frequency": (value,)} for query_id, value in frequencies.items()}
    return replace(made, queries=tuple(replace(q, labels=labels.get(q.query_id, {})) for q in made.queries))


def test_a_weight_is_how_often_a_query_would_stand_there() -> None:
    """Weights 3, 1, 2 give the means that a collection with q1 three times and q3 twice would have."""
    runs = {
        "before": {"q1": ranked("bad", "good"), "q2": ranked("good"), "q3": ranked("bad")},
        "now": {"q1": ranked("good"), "q2": ranked("bad", "good"), "q3": ranked("good")},
    }
    weighed = evaluation(judged(q1="3", q2="1", q3="2").weighed("frequency"), runs, measures=("RR@10", "R@10"))
    figures = build_figures(weighed)
    compared = weighed.compare("RR@10")["now"]

    assert weighed.named("before").mean("RR@10") == pytest.approx((3 * 0.5 + 1 * 1 + 2 * 0) / 6)
    assert compared.difference == pytest.approx((3 * 0.5 - 1 * 0.5 + 2 * 1) / 6)
    assert (compared.better, compared.worse) == (2, 1)
    assert figures["pipelines"]["before"]["measures"]["RR@10"] == pytest.approx(2.5 / 6, abs=1e-6)
    assert figures["recall"]["pipelines"]["before"]["values"][-1] == pytest.approx(4 / 6, abs=1e-6)
    assert figures["segments"]["length"]["3-5 words"]["measures"]["now"]["RR@10"] == pytest.approx(5.5 / 6, abs=1e-6)
    assert figures["collection"]["weighed_by"] == "frequency"
    assert figures["collection"]["equal_queries"] == pytest.approx(36 / 14, abs=0.1)


def test_unjudged_documents_count_by_the_weight_of_their_query() -> None:
    runs = {"before": {"q1": ranked("new", "good"), "q2": ranked("good"), "q3": ranked("good")}}
    light, heavy = (
        build_figures(evaluation(judged(q1=weight, q2="1", q3="1").weighed("frequency"), runs))["unjudged"]
        for weight in ("1", "8")
    )
    shares = [found["pipelines"]["before"]["judged_share"] for found in (light, heavy)]
    widths = [
        found["pipelines"]["before"]["bounds"]["RR@10"]["high"] - found["pipelines"]["before"]["bounds"]["RR@10"]["low"]
        for found in (light, heavy)
    ]

    assert shares == [pytest.approx((0.5 + 1 + 1) / 3, abs=1e-6), pytest.approx((8 * 0.5 + 1 + 1) / 10, abs=1e-6)]
    assert widths == [pytest.approx(0.5 / 3, abs=1e-6), pytest.approx(8 * 0.5 / 10, abs=1e-6)]


def test_equal_weights_change_nothing() -> None:
    random = np.random.default_rng(3)
    values = {
        name: {f"q{at}": value for at, value in enumerate(random.random(40).tolist())} for name in ("before", "now")
    }
    alike = weigh([JudgedQuery(query_id, "x", {"n": ("5",)}) for query_id in values["now"]], "n")

    assert compare(values, "before", alike) == compare(values, "before")
    assert equal_queries(alike, 40) == equal_queries({}, 40) == 40


def test_the_standard_error_is_the_spread_of_weighed_means() -> None:
    random = np.random.default_rng(5)
    population, weights = random.normal(0.5, 0.3, 5000), random.uniform(0.1, 3, 5000)
    means, errors = [], []
    for _ in range(600):
        drawn = random.integers(0, 5000, 80)
        shares = weights[drawn] / weights[drawn].mean()
        means.append((shares * population[drawn]).mean())
        errors.append(standard_error(population[drawn], shares))

    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


@pytest.mark.parametrize(
    ("labels", "by", "reason"),
    [
        ([{}, {}], "frequency", "no query has a field 'frequency'"),
        ([{"frequency": ("3",)}, {}], "frequency", "'q1' has nothing as frequency"),
        ([{"frequency": ("3",)}, {"frequency": ("often",)}], "frequency", "often as frequency"),
        ([{"frequency": ("3",)}, {"frequency": ("-1",)}], "frequency", "-1 as frequency"),
        ([{"frequency": ("0",)}, {"frequency": ("0",)}], "frequency", "nothing would count"),
    ],
)
def test_what_is_no_weight_is_refused(labels: list[dict[str, tuple[str, ...]]], by: str, reason: str) -> None:
    queries = [JudgedQuery(f"q{at}", "x", given) for at, given in enumerate(labels)]

    with pytest.raises(SettingsError, match=reason):
        weigh(queries, by)


def test_a_part_of_the_queries_is_weighed_among_itself() -> None:
    whole = judged(q1="3", q2="1", q3="2").weighed("frequency")

    assert whole.only(whole.queries[:2]).weights == {"q1": 1.5, "q2": 0.5}
