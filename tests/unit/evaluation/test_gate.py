"""What breaks a gate, and what it refuses to judge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked

from connector.errors import SettingsError
from connector.evaluation.evaluate import Evaluation
from connector.evaluation.gate import (
    Baseline,
    Bounds,
    changed_settings,
    judge,
    parse_bounds,
    read_baseline,
    write_baseline,
)
from connector.settings.sections import Settings

JUDGED = collection({str(at): {"x": 1} for at in range(10)})
RIGHT, SECOND = ranked("x"), ranked("-", "x")


def measured(worse: int, *, took_ms: float = 10.0, degraded: int = 0, settings: Settings = Settings()) -> Evaluation:
    """The pipeline `search` with that many queries whose document comes second: RR@10 falls by 0.05 for each."""
    run = {query_id: SECOND if int(query_id) < worse else RIGHT for query_id in JUDGED.qrels}
    notes = {str(at): "late" for at in range(degraded)}
    return evaluation(
        JUDGED, {"search": run}, took_ms={"search": took_ms}, degraded={"search": notes}, settings=settings
    )


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    write_baseline(tmp_path / "baseline.json", measured(1))
    return read_baseline(tmp_path / "baseline.json")


def broken(now: Evaluation, baseline: Baseline, bounds: Bounds) -> list[str]:
    return [verdict.figure for verdict in judge(now, baseline, bounds) if verdict.broken]


@pytest.mark.parametrize(
    ("worse", "drop", "breaks"),
    [(1, 0.0, False), (2, 0.05, False), (2, 0.04, True), (3, 0.05, True), (0, 0.0, False), (10, 1.0, False)],
)
def test_a_measure_may_fall_as_far_as_the_bound(baseline: Baseline, worse: int, drop: float, breaks: bool) -> None:
    assert broken(measured(worse), baseline, Bounds({"RR@10": drop}, {})) == (["RR@10"] if breaks else [])


def test_a_verdict_has_both_figures_and_how_probable_the_difference_is(baseline: Baseline) -> None:
    verdict = next(
        verdict for verdict in judge(measured(9), baseline, Bounds({"RR@10": 0.01}, {})) if verdict.figure == "RR@10"
    )

    assert (verdict.before, verdict.now, verdict.bound) == pytest.approx((0.95, 0.55, 0.94))
    assert verdict.p == pytest.approx(2 / 2**8)  # eight queries fell, all the same way
    assert verdict.broken


def test_a_fall_that_other_grades_of_unjudged_documents_would_undo_is_known(baseline: Baseline) -> None:
    judged = collection({str(at): {"x": 1, "-": 0} for at in range(10)})
    runs = {"search": dict.fromkeys(judged.qrels, SECOND)}
    fallen, known = (
        judge(now, baseline, Bounds({"RR@10": 0.01}, {})) for now in (measured(9), evaluation(judged, runs))
    )
    rank, time = ({verdict.figure: verdict for verdict in fallen}[name] for name in ("RR@10", "p95 ms"))

    assert (rank.possible, rank.depends_on_unjudged) == (1.0, True)
    assert (time.possible, time.depends_on_unjudged) == (None, False)
    assert [verdict.depends_on_unjudged for verdict in known if verdict.figure == "RR@10"] == [False]
    assert [verdict.broken for verdict in known if verdict.figure == "RR@10"] == [True]


def test_what_has_no_bound_is_told_and_never_broken(baseline: Baseline) -> None:
    verdicts = {verdict.figure: verdict for verdict in judge(measured(10), baseline, Bounds({"RR@10": 1.0}, {}))}

    assert verdicts["nDCG@10"].bound is None
    assert verdicts["nDCG@10"].now < verdicts["nDCG@10"].before
    assert not any(verdict.broken for verdict in verdicts.values())


@pytest.mark.parametrize(
    ("name", "figure"), [("search", "p95 ms"), ("local", "local p95 ms"), ("total", "total p95 ms")]
)
def test_a_latency_budget_is_of_a_pipeline_or_a_stage(baseline: Baseline, name: str, figure: str) -> None:
    took = 10.0 if name == "local" else 50.0  # of evaluations.answer

    assert broken(measured(1), baseline, Bounds({}, {name: took})) == []
    assert broken(measured(1), baseline, Bounds({}, {name: took - 0.1})) == [figure]


def test_degraded_answers_break_it_unless_they_are_allowed(baseline: Baseline) -> None:
    now = measured(1, degraded=2)

    assert broken(now, baseline, Bounds({}, {})) == ["failed or degraded"]
    assert broken(now, baseline, Bounds({}, {}, max_degraded=2)) == []


def test_another_data_set_is_refused(baseline: Baseline) -> None:
    with pytest.raises(SettingsError, match=r"taken on other data: 10 queries of made .* these are 9 of made"):
        baseline.check_collection(JUDGED.sample(9))
    baseline.check_collection(JUDGED)


def test_bounds_on_what_is_not_measured_are_refused(baseline: Baseline) -> None:
    with pytest.raises(SettingsError, match=r"has no R@5, only nDCG@10, RR@10"):
        baseline.check_bounds(Bounds({"R@5": 0.1}, {}))
    with pytest.raises(SettingsError, match="no pipeline or stage 'reranking'"):
        baseline.check_bounds(Bounds({}, {"reranking": 5}))
    baseline.check_bounds(Bounds({"RR@10": 0.1}, {"search": 5, "lexical": 5, "fields": 5}))


def test_settings_that_changed_are_told_with_both_values(baseline: Baseline) -> None:
    now = measured(
        1, settings=Settings.model_validate({"search": {"legs": {"dense": {"weight": 2}}}, "cluster": {"timeout_s": 9}})
    )

    assert changed_settings(now, baseline) == {"search": {"search.legs.dense.weight": (1.0, 2.0)}}
    assert changed_settings(measured(1), baseline) == {}


def test_pipelines_come_back_as_they_were_asked_for(baseline: Baseline) -> None:
    (pipeline,) = baseline.pipelines

    assert (pipeline.name, pipeline.stage, dict(pipeline.overrides)) == ("search", "", {})
    assert baseline.figures["pipelines"]["search"]["stage"] == "reranked"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{\n,", r"b\.json:2 is not JSON"),
        ("[]", "no baseline of this version"),
        ('{"format": "other/9"}', "write it anew"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "b.json").write_text(content)

    with pytest.raises(SettingsError, match=says):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(SettingsError, match="write one with --write-baseline"):
        read_baseline(tmp_path / "gone.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_baseline_with_a_byte_order_mark_is_read(baseline: Baseline, encoding: str) -> None:
    baseline.file.write_bytes(baseline.file.read_text().encode(encoding))

    assert read_baseline(baseline.file) == baseline


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("collection", None, "collection"),
        ("pipelines.search.per_query.RR@10.0", None, "RR@10 of 9 queries, not of 10"),
        ("pipelines.search.measures.RR@10", None, "has no RR@10"),
        ("pipelines.search.measures.RR@10", "high", "measures.RR@10"),
        ("pipelines.search.measures.RR@10", float("nan"), "NaN is no number"),  # nothing is below it: a gate would hold
        (
            "pipelines.search.measures.RR@10",
            0.5,
            "is no whole baseline: pipeline 'search' has RR@10 0.5, but the mean of its queries is 0.950000",
        ),
        ("pipelines.search.per_query.RR@10.1", 0.0, "'search' has RR@10 0.95, but the mean of its queries is 0.850000"),
        ("pipelines.search.latency_ms.p95", None, "latency_ms.p95"),
        ("pipelines.search", None, "pipelines"),
    ],
)
def test_a_baseline_that_lacks_something_is_refused(baseline: Baseline, path: str, value: object, says: str) -> None:
    figures = json.loads(baseline.file.read_text())
    *above, last = path.split(".")
    branch = figures
    for name in above:
        branch = branch[name]
    branch.pop(last) if value is None else branch.update({last: value})
    baseline.file.write_text(json.dumps(figures))

    with pytest.raises(SettingsError, match=re.escape(says)):
        read_baseline(baseline.file)


def test_bounds_are_read_from_flags() -> None:
    given = parse_bounds(["nDCG@10=0.02", "P(rel=2)@5 = 0.1"], ["search=200"], max_degraded=3, k=10)

    assert given == Bounds({"nDCG@10": 0.02, "P(rel=2)@5": 0.1}, {"search": 200.0}, 3)
    assert parse_bounds([], [], max_degraded=0, k=5).max_drop == {"nDCG@5": 0.01}


@pytest.mark.parametrize("wrong", ["nDCG@10", "nDCG@10=-1", "=1", "nDCG@10=lots", "nDCG@10=nan"])
def test_bounds_that_cannot_be_read_are_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="takes NAME=NUMBER"):
        parse_bounds([wrong], [], max_degraded=0, k=10)


def test_a_baseline_is_json_that_can_be_kept_with_the_code(tmp_path: Path, baseline: Baseline) -> None:
    again = json.loads(baseline.file.read_text())

    assert again == baseline.figures
    assert again["machine"]["versions"]["hybrid-search-connector"]


def test_a_baseline_with_a_query_of_another_name_is_refused(baseline: Baseline) -> None:
    figures = json.loads(baseline.file.read_text())
    for values in figures["pipelines"]["search"]["per_query"].values():
        values["renamed"] = values.pop("3")
    baseline.file.write_text(json.dumps(figures))

    with pytest.raises(SettingsError, match="of query 'renamed', which is not in"):
        read_baseline(baseline.file).check_collection(JUDGED)
