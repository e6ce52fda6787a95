"""What an evaluation prints."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.evaluation.evaluations import collection, evaluation, ranked
from support.programs.command import flat

from connector.cli.tables.evaluation import print_evaluation
from connector.evaluation.report.figures import build_figures
from connector.settings.sections import Settings

JUDGED = collection({"a": {"x": 1}, "b": {"x": 1}})
RULED = Settings.model_validate({"search": {"rerank": {"when": {"gap_below": 0.5}}}})
RUNS = {
    "reranked": {"a": ranked("x"), "b": ranked("y", "x")},
    "always": {"a": ranked("x"), "b": ranked("x")},
}


def test_what_rules_cost_and_save_stands_beside_the_first_stage(capsys: pytest.CaptureFixture[str]) -> None:
    done = evaluation(JUDGED, RUNS, took_ms={"reranked": 4.0, "always": 20.0}, settings=RULED, measures=("RR@10",))
    with_rules, without = done.pipelines
    done = replace(done, pipelines=(replace(with_rules, ran={"local": 1, "deep": 0}), without))

    print_evaluation(done, build_figures(done))

    table = flat(capsys.readouterr().out.partition("the rules of the stages")[2])
    assert table.startswith("stage ┃ ran for ┃ RR@10 ┃ p ┃ ms with them ┃ without ")
    assert "local │ 1 of 2 │ -0.2500 │ 1.0000 │ 20.0 │ 100.0 " in table
    assert table.endswith("deep │ 0 of 2 │ │ │ │")


def test_without_rules_there_is_no_such_table(capsys: pytest.CaptureFixture[str]) -> None:
    done = evaluation(JUDGED, RUNS)

    print_evaluation(done, build_figures(done))

    printed = capsys.readouterr().out
    assert "milliseconds to an answer" in printed
    assert "the rules of the stages" not in printed
