"""Each kind of judge apart: the same queries, and whether they come to the same conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.cli.console import results
from connector.cli.tables.judges import judges_table
from connector.evaluation.evaluate import Evaluation
from connector.evaluation.files.judgments import Qrels
from connector.evaluation.judges import find_judges
from connector.evaluation.report.figures import build_figures
from connector.evaluation.report.html import build_html
from connector.evaluation.unjudged import Conclusion

QUERIES = [f"q{at}" for at in range(20)]
FIRST: Qrels = {query_id: {"x": 1, "y": 0} for query_id in QUERIES}
SECOND: Qrels = {query_id: {"x": 0, "y": 1} for query_id in QUERIES}


def judged_apart(weights: Mapping[str, float] | None = None, **apart: Qrels) -> Evaluation:
    """`now` puts x before y, which `before` does the other way."""
    judged = replace(collection(FIRST), apart=apart, weights=weights or {})
    runs = {"before": dict.fromkeys(QUERIES, ranked("y", "x")), "now": dict.fromkeys(QUERIES, ranked("x", "y"))}
    return evaluation(judged, runs, measures=("RR@10",))


def some(qrels: Qrels, count: int, *, start: int = 0) -> Mapping[str, Mapping[str, int]]:
    return {query_id: qrels[query_id] for query_id in QUERIES[start : start + count]}


def test_judges_are_measured_on_the_queries_that_all_judged() -> None:
    found = find_judges(judged_apart(person=some(FIRST, 12), model=FIRST))
    assert found is not None

    assert found.shared
    assert {kind: (judge.queries, judge.grades) for kind, judge in found.by_kind.items()} == {
        "person": (12, 24),
        "model": (12, 24),
    }
    assert found.by_kind["model"].means == {"before": 0.5, "now": 1.0}
    assert found.verdict == "on the same queries person and model come to the same conclusions"


def test_judges_that_contradict_each_other_are_told() -> None:
    found = find_judges(judged_apart(person=FIRST, model=SECOND))
    assert found is not None

    assert found.by_kind["person"].conclusions == {"now": Conclusion.BETTER}
    assert found.by_kind["model"].comparisons["now"].difference == pytest.approx(-0.5)
    assert found.verdict == (
        "on the same queries the judges differ: by person now is better than the baseline; by model now is worse than "
        "the baseline"
    )


def test_judges_of_different_queries_are_measured_on_their_own() -> None:
    found = find_judges(judged_apart(person=some(FIRST, 8), clicks=some(FIRST, 9, start=8)))
    assert found is not None

    assert (found.shared, found.by_kind["person"].queries, found.by_kind["clicks"].queries) == (False, 8, 9)
    assert found.verdict.startswith("on queries that differ from judge to judge")


def test_queries_count_by_their_weight_among_those_that_all_judged() -> None:
    mixed = {**some(FIRST, 1), **some(SECOND, 3, start=1)}
    weights = dict.fromkeys(QUERIES, 0.5) | {"q0": 1.5}  # as much as the three others that were judged
    found = find_judges(judged_apart(weights, person=mixed))
    assert found is not None

    assert found.by_kind["person"].means == pytest.approx({"before": 0.75, "now": 0.75})
    assert found.by_kind["person"].comparisons["now"].difference == pytest.approx(0)


def test_a_collection_that_does_not_tell_its_judges_apart_has_none() -> None:
    assert find_judges(judged_apart()) is None
    assert build_figures(judged_apart())["judges"] is None


def test_they_stand_side_by_side_in_the_table_and_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    figures = build_figures(judged_apart(person=FIRST, model=SECOND))

    results().print(judges_table(figures))

    printed = capsys.readouterr().out
    assert ["model", "20", "40", "1.000", "0.500 -0.500"] in [
        [cell.strip() for cell in line.split("│")] for line in printed.splitlines()
    ]
    assert "On the same queries the judges differ" in build_html(figures)
