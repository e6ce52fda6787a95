"""The hits of a search, on a terminal."""

from __future__ import annotations

import pytest

from connector.cli.tables.hits import print_response
from connector.types import Degradation, Explanation, LegExplanation, SearchHit, SearchResponse, StageOutcome, Total

FOUND = Explanation(legs={"lexical": LegExplanation(1, 2.5)}, fused_rank=1)
MARKED = {"title": ["<em>Cold</em> rooms"], "text": ["a <em>cold</em>\n  <em>room</em> [store]", "no < or > in it"]}


def test_marked_words_are_bold_and_marks_are_gone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    hit = SearchHit("r1", 1.0, 1, "lexical", {}, None, FOUND, highlight=MARKED)

    print_response(SearchResponse("cold", (hit,), (), {"total": 3.2}, rankings={"lexical": ()}))

    bold = "\x1b[1m{}\x1b[0m".format
    words = f"{bold('Cold')} rooms … a {bold('cold')} {bold('room')} [store] … no < or > in it"
    assert words in capsys.readouterr().out


def test_what_was_counted_left_out_and_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    hit = SearchHit("r1", 1.0, 1, "lexical", {}, None, FOUND)
    response = SearchResponse(
        "cold",
        (hit,),
        (Degradation("dense", "no such index [shop]"),),
        {"total": 3.2},
        stages={"local": StageOutcome(False, 0, why="the gap is wide")},
        notes=("window is 20",),
        total=Total(1_200, "gte", "union"),
        aggregations={"tiers": {"buckets": []}},
    )

    print_response(response)

    printed = capsys.readouterr()
    assert '"tiers"' in printed.out
    assert printed.err.splitlines() == [
        "1 hits of at least 1,200; milliseconds: total 3",
        "local was left out: the gap is wide",
        "note: window is 20",
        "degraded: dense: no such index [shop]",
    ]
