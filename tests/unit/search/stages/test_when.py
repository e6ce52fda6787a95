"""The rules by which a stage is left out, on rankings that are written down."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.parts import ranking

from connector.search.stages.when import agreement, gap_at_border, why_left_out
from connector.settings.search import WhenSettings

ORDER = ranking(("a", 4.0), ("b", 3.0), ("c", 1.0), ("d", 0.0))  # the deviation of the scores is 1.58
LEGS = {"lexical": ranking("a", "b", "c"), "dense": ranking("b", "a", "d"), "titles": ()}


def why(k: int = 2, window: int = 4, **rules: Any) -> str:
    return why_left_out(WhenSettings(**rules), query="red fish", facts={}, legs=LEGS, order=ORDER, window=window, k=k)


def test_a_stage_without_rules_runs() -> None:
    assert why() == ""
    assert why_left_out(None, query="", facts={}, legs={}, order=(), window=1, k=1) == ""


@pytest.mark.parametrize(("k", "bound", "runs"), [(2, 1.3, True), (2, 1.2, False), (1, 0.7, True), (1, 0.6, False)])
def test_a_wide_gap_at_the_border_leaves_it_out(k: int, bound: float, runs: bool) -> None:
    assert (why(k=k, gap_below=bound) == "") is runs


def test_where_nothing_could_come_up_the_gap_has_no_end() -> None:
    assert math.isinf(gap_at_border(ORDER, 4))
    assert why(k=2, window=2, gap_below=9) == "gap_below 9: the gap behind hit 2: there is nothing after it"
    assert gap_at_border(ranking(("a", 1.0), ("b", 1.0)), 1) == 0


@pytest.mark.parametrize(("bound", "runs"), [(3, True), (2, False), (1, False)])
def test_legs_that_agree_leave_it_out(bound: int, runs: bool) -> None:
    assert (why(agree_below=bound) == "") is runs


def test_a_leg_alone_agrees_with_nobody() -> None:
    assert agreement({"lexical": ranking("a"), "dense": ()}, 1) == 0
    assert agreement(LEGS, 1) == 0


@pytest.mark.parametrize(
    ("facts", "rule", "runs"),
    [
        ({"kind": "code"}, {"kind": "name"}, False),
        ({"kind": "name"}, {"kind": "name"}, True),
        ({"kind": "name"}, {"kind": ["name", "title"]}, True),
        ({}, {"kind": "name"}, False),
        ({"kind": "name", "paid": True}, {"kind": "name", "paid": True}, True),
    ],
)
def test_facts_of_the_request_decide(facts: dict[str, Any], rule: dict[str, Any], runs: bool) -> None:
    reason = why_left_out(WhenSettings(facts=rule), query="q", facts=facts, legs=LEGS, order=ORDER, window=4, k=2)

    assert (reason == "") is runs


def test_all_rules_have_to_hold_and_the_first_that_does_not_is_named() -> None:
    assert why(query_words_at_least=2, agree_below=3, gap_below=1.3) == ""
    assert why(query_words_at_least=3, agree_below=3).startswith("query_words_at_least 3: the query has 2")
    assert why(query_words_at_least=3, gap_below=0.1).startswith("gap_below 0.1: the gap behind hit 2: it is 1.3")
