"""What is measured: stages, overrides, and the fewest searches that give them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.evaluation.evaluations import answer, ranked

from connector.errors import SettingsError
from connector.evaluation.pipelines import (
    Pipeline,
    add_rerankers,
    default_pipelines,
    pipelines_of_worker,
    plan,
    read_pipelines,
)
from connector.evaluation.route import Route
from connector.evaluation.runs import Answer
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import Degradation

LATE = Degradation("local", "no answer")
ROUTE = Route(Settings())
CASCADE = Settings.model_validate(
    {
        "rerankers": {"local": {}, "big": {}},
        "search": {"legs": {"titles": {"kind": "lexical"}}, "rerank": ["local", {"reranker": "big", "window": 20}]},
    }
)


def settings_with(own: Mapping[str, Any]) -> Settings:
    return load_settings(environ={}, overrides=own)


def test_stages_of_one_search_share_it() -> None:
    (search,) = plan(read_pipelines("lexical, dense,fused,reranked,search"), settings_with)

    assert [search.stage(pipeline) for pipeline in search.pipelines] == [
        "lexical",
        "dense",
        "fused",
        "reranked",
        "reranked",
    ]
    assert search.last == "reranked"


def test_the_defaults_are_the_stages_that_a_search_has() -> None:
    without = settings_with({"search.rerank": "off"})

    assert [pipeline.name for pipeline in default_pipelines(Settings())] == ["lexical", "dense", "fused", "reranked"]
    assert [pipeline.name for pipeline in default_pipelines(without)] == ["lexical", "dense", "fused"]


def test_without_a_worker_the_stages_that_rerank_are_left_out() -> None:
    asked: list[bool] = []
    with_rules = settings_with({"search.rerank": [{"window": 20, "when": {"gap_below": 0.1}}]})

    def answers(answer: bool) -> bool:
        asked.append(answer)
        return answer

    assert [pipeline.name for pipeline in pipelines_of_worker(Settings(), lambda: answers(False))] == [
        "lexical",
        "dense",
        "fused",
    ]
    assert [pipeline.stage for pipeline in pipelines_of_worker(with_rules, lambda: answers(False))].count(
        "reranked"
    ) == 0
    assert pipelines_of_worker(Settings(), lambda: answers(True)) == default_pipelines(Settings())
    assert asked == [False, False, True]


def test_a_worker_is_not_asked_where_nothing_is_reranked() -> None:
    without = settings_with({"search.rerank": "off"})

    def fail() -> bool:
        raise AssertionError("asked")

    assert pipelines_of_worker(without, fail) == default_pipelines(without)


def test_nothing_is_reranked_that_no_pipeline_asks_for() -> None:
    (search,) = plan(read_pipelines("lexical,fused"), settings_with)

    assert search.last == "fused"


def test_other_settings_are_another_search(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "base: {stage: fused}\n"
        "linear: {stage: fused, search.fusion.kind: linear}\n"
        "nested: {search: {fusion: {kind: linear}}, stage: fused}\n"
        "without: {search.rerank: off}\n"
        "all:\n"
    )
    searches = plan(read_pipelines(str(tmp_path / "p.yaml")), settings_with)

    assert [[pipeline.name for pipeline in search.pipelines] for search in searches] == [
        ["base", "all"],
        ["linear", "nested"],
        ["without"],
    ]
    assert [search.settings.search.fusion.kind for search in searches] == ["rrf", "linear", "rrf"]
    assert [search.last for search in searches] == ["reranked", "fused", "fused"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("../a: {}", "cannot be called '../a'"),
        ("a: 3", "must map settings"),
        ("off: {}", "as False; put it in quotes"),
        ("- a", "must map names of pipelines"),
        ("a: {}\nb: {", r"p\.yaml:2 is not YAML"),
        ("a: {}\nb: {stage: dense}\na: {stage: fused}", r"p\.yaml:3 names a pipeline or a setting twice"),
        (b"a: {encoder.model: caf\xe9}", r"p\.yaml:1 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str | bytes, says: str) -> None:
    (tmp_path / "p.yaml").write_bytes(text.encode() if isinstance(text, str) else text)

    with pytest.raises(SettingsError, match=says):
        read_pipelines(str(tmp_path / "p.yaml"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "p.yaml").write_text("wide: {search.rerank: {window: 100}}\n", encoding=encoding)

    assert read_pipelines(str(tmp_path / "p.yaml")) == (Pipeline("wide", overrides={"search.rerank": {"window": 100}}),)


def test_names_that_nothing_has_are_refused() -> None:
    with pytest.raises(SettingsError, match="unknown pipeline 'bm25'; name some of lexical, dense, fused, local"):
        plan(read_pipelines("lexical,bm25"), settings_with)
    with pytest.raises(SettingsError, match="'a' has no stage 'final'; stages are lexical, dense, fused, local"):
        plan([Pipeline("a", "final")], settings_with)
    with pytest.raises(SettingsError, match=r"cannot read gone\.yaml"):
        read_pipelines("gone.yaml")
    with pytest.raises(SettingsError, match="did you mean"):
        plan([Pipeline("a", overrides={"search.fusoin.kind": "linear"})], settings_with)
    with pytest.raises(SettingsError, match=r"'a' needs a rerank, but search\.rerank is off"):
        plan([Pipeline("a", "reranked", {"search.rerank": "off"})], settings_with)


def test_without_a_rerank_the_caller_gets_the_fused_order_and_it_is_no_whole_answer() -> None:
    answered = answer("q", fused=ranked("a", "b"), lexical=ranked("a"), degraded=[LATE])

    assert ROUTE.ranking("reranked", answered) == ranked("a", "b")
    assert ROUTE.failure("reranked", answered) == ""
    assert ROUTE.degradations("reranked", answered) == ("local: no answer",)
    assert ROUTE.degradations("fused", answered) == ()


def test_a_leg_that_is_missing_is_a_failure_and_an_empty_one_is_not() -> None:
    missing = answer("q", fused=ranked("a"), degraded=[Degradation("encode", "out of memory")])

    assert ROUTE.failure("dense", missing) == "encode: out of memory"
    assert ROUTE.failure("lexical", answer("q", fused=ranked("a"))) == ""
    assert ROUTE.failure("lexical", Answer("q", error="no leg answered")) == "no leg answered"


def test_each_reranker_is_a_pipeline_of_its_own() -> None:
    rerankers = {name: {"rerankers.local.model": name} for name in ("a/small", "b/small", "models/other one/")}

    pipelines = add_rerankers(read_pipelines("fused"), rerankers)

    assert [pipeline.name for pipeline in pipelines] == [
        "fused",
        "reranked-a-small",
        "reranked-b-small",
        "reranked-other-one",
    ]
    assert [pipeline.stage for pipeline in pipelines] == ["fused", "reranked", "reranked", "reranked"]
    assert pipelines[1].overrides == {"rerankers.local.model": "a/small"}


def test_a_name_that_the_file_has_taken_is_refused() -> None:
    with pytest.raises(SettingsError, match="two pipelines would be called 'reranked-small'"):
        add_rerankers([Pipeline("reranked-small")], {"a/small": {}})


def test_each_leg_and_each_stage_of_a_cascade_is_a_pipeline() -> None:
    made = default_pipelines(CASCADE)
    (search,) = plan((*made, Pipeline("all"), Pipeline("big", "big")), lambda own: CASCADE)

    assert [pipeline.name for pipeline in made] == ["lexical", "dense", "titles", "fused", "local", "reranked"]
    assert [search.is_last(pipeline) for pipeline in search.pipelines] == [False] * 5 + [True] * 3


def test_a_stage_that_failed_leaves_the_order_of_the_one_before_and_says_so() -> None:
    answered = answer("q", fused=ranked("a", "b"), local=ranked("b", "a"), degraded=[Degradation("big", "late")])
    route = Route(CASCADE)

    assert route.ranking("big", answered) == route.ranking("reranked", answered) == ranked("b", "a")
    assert (route.degradations("big", answered), route.degradations("local", answered)) == (("big: late",), ())


def test_the_way_to_a_stage_is_the_slowest_leg_and_all_stages_up_to_it() -> None:
    took = {"lexical": 3.0, "encode": 5.0, "dense": 20.0, "titles": 30.0, "fuse": 1.0, "local": 10.0, "big": 90.0}
    route = Route(CASCADE)

    assert route.answer_ms("dense", took, last=False) == 25.0
    assert route.answer_ms("fused", took, last=False) == 31.0
    assert route.answer_ms("local", took, last=False) == 41.0
    assert route.answer_ms("big", took, last=False) == 131.0


def test_what_rules_cost_and_save_is_measured_beside_the_search_without_them() -> None:
    ruled = Settings.model_validate({"search": {"rerank": {"window": 20, "when": {"gap_below": 0.5}}}})
    *stages, always = default_pipelines(ruled)
    (search, without) = plan([*stages, always], lambda own: settings_with({**own}) if own else ruled)

    assert [stage.name for stage in stages] == ["lexical", "dense", "fused", "reranked"]
    assert [pipeline.name for pipeline in without.pipelines] == ["always"]
    assert [stage.when for stage in without.settings.search.rerank] == [None]
    assert without.settings.first_stage.window == search.settings.first_stage.window == 20
