"""What rules cost and save, from answers that are written down."""

from __future__ import annotations

from dataclasses import replace

from support.evaluation.evaluations import collection, evaluation, ranked

from connector.evaluation.report.figures import build_figures
from connector.evaluation.rules import effect_of_rules
from connector.settings.sections import Settings

JUDGED = collection({"a": {"x": 1}, "b": {"x": 1}})
RULED = Settings.model_validate({"search": {"rerank": {"when": {"gap_below": 0.5}}}})


def test_the_effect_is_what_is_lost_for_how_many_queries_and_how_much_sooner() -> None:
    runs = {
        "reranked": {"a": ranked("x"), "b": ranked("y", "x")},
        "always": {"a": ranked("x"), "b": ranked("x")},
    }
    done = evaluation(JUDGED, runs, took_ms={"reranked": 4.0, "always": 20.0}, settings=RULED, measures=("RR@10",))
    with_rules, without = done.pipelines
    done = replace(done, pipelines=(replace(with_rules, ran={"local": 1}), without))
    effect = effect_of_rules(done)

    assert effect
    assert (effect.queries, effect.ran) == (2, {"local": 1})
    assert effect.gain.difference == -0.25
    assert (effect.with_ms, effect.without_ms) == (20.0, 100.0)
    assert build_figures(done)["rules"]["gain"]["difference"] == -0.25


def test_without_rules_there_is_no_effect() -> None:
    runs = {"reranked": {"a": ranked("x")}, "always": {"a": ranked("x")}}

    assert effect_of_rules(evaluation(JUDGED, runs)) is None
