"""What unjudged documents could change: condensed lists, infAP, bounds of means, and conclusions that depend on
them."""

from __future__ import annotations

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.evaluation.report.figures import build_figures
from connector.evaluation.report.html import build_html
from connector.evaluation.statistics.bounds import Extremes
from connector.evaluation.unjudged import Conclusion, find_unjudged

QUERIES = [str(at) for at in range(10)]
JUDGED = collection({query_id: {"x": 1, "y": 0} for query_id in QUERIES})
BEFORE = dict.fromkeys(QUERIES, ranked("y", "x"))
WHOLE = dict.fromkeys(QUERIES, ranked("x", "y"))
PART = dict.fromkeys(QUERIES, ranked("new", "x", "y"))


def test_where_all_is_judged_nothing_depends_on_anything() -> None:
    found = find_unjudged(evaluation(JUDGED, {"before": BEFORE, "now": WHOLE}))

    assert (found.count, found.warnings) == (0, ())
    assert found.pipelines["now"].bounds["RR@10"] == Extremes(1.0, 1.0)
    assert found.pipelines["before"].condensed["RR@10"] == 0.5
    assert found.comparisons["now"].possible == (Conclusion.BETTER,)
    assert found.pipelines["now"].judged_share == 1.0


def test_unjudged_documents_are_counted_left_out_and_given_any_grade() -> None:
    found = find_unjudged(evaluation(JUDGED, {"before": BEFORE, "part": PART}, measures=("RR@10", "Judged@10")))
    part, compared = found.pipelines["part"], found.comparisons["part"]

    assert (part.judged_share, part.unjudged, found.count) == (pytest.approx(2 / 3), 10, 10)
    assert part.condensed == {"RR@10": 1.0}
    assert part.bounds == {"RR@10": Extremes(0.5, 1.0)}
    assert compared.conclusion == Conclusion.CHANCE  # 0.5 and 0.5
    assert compared.condensed_conclusion == Conclusion.BETTER
    assert compared.bounds == Extremes(0.0, 0.5)
    assert compared.possible == (Conclusion.CHANCE, Conclusion.BETTER)
    assert found.warnings == (
        "the conclusion about part depends on documents that nobody judged, 17% of the first 10; connector judge pool "
        "chooses which to judge",
        "part differs from the baseline by what may be chance; measured without unjudged documents it is better than "
        "the baseline",
    )


def test_what_no_grade_can_turn_is_no_warning() -> None:
    runs = {"before": dict.fromkeys(QUERIES, ranked("y")), "now": dict.fromkeys(QUERIES, ranked("x", "new"))}
    found = find_unjudged(evaluation(JUDGED, runs))

    assert found.count == 10
    assert not found.comparisons["now"].depends
    assert found.warnings == ()


def test_a_scale_that_is_known_counts_more_than_the_grades_given() -> None:
    judged = collection({"a": {"x": 1}})
    scaled = type(judged)(judged.name, judged.queries, judged.qrels, scale=3)

    assert (judged.highest_grade, scaled.highest_grade, scaled.sample(1).highest_grade) == (1, 3, 3)


def test_inferred_ap_takes_unjudged_documents_for_a_part_of_the_pool() -> None:
    judged = collection({"q": {"a": 1, "b": 0, "e": 1}})
    run = {"q": ranked("a", "c", "b", "e")}
    found = find_unjudged(evaluation(judged, {"only": run}, measures=("AP",)))

    assert found.pipelines["only"].inferred_ap == pytest.approx((1 + 1 / 4 + 3 / 4 * 3 / 3 * (1 / 2)) / 2, abs=1e-3)
    assert evaluation(judged, {"only": run}, measures=("AP",)).named("only").mean("AP") == 0.75


def test_the_report_shows_them_only_where_there_are_any() -> None:
    whole, part = (
        build_html(build_figures(evaluation(JUDGED, {"before": BEFORE, "now": now}))) for now in (WHOLE, PART)
    )

    assert "What nobody judged" not in whole
    assert "What nobody judged" in part
    assert "The conclusion about now depends on documents that nobody judged, 17% of the first 10" in part
