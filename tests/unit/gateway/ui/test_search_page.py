"""What the page at /ui is made of, without a browser: addresses, columns and lines, grades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import QueryParams
from support.parts import ranking

from connector.errors import SettingsError
from connector.gateway.ui.found import describe
from connector.gateway.ui.grading import Grading
from connector.gateway.ui.movement import put_side_by_side
from connector.gateway.ui.page_params import PageParams, read_page_params
from connector.types import (
    Degradation,
    Explanation,
    Passage,
    ScoreExplanation,
    ScorePart,
    SearchHit,
    SearchResponse,
    StageExplanation,
    StageOutcome,
)


@pytest.mark.parametrize(
    ("typed", "filters"),
    [
        ("region:emea", ("region=emea",)),
        ("date>=2024-01-15", ("date>=2024-01-15",)),
        ("url=http://a.example", ("url=http://a.example",)),
        ('{"term": {"region": "emea"}}', ('{"term": {"region": "emea"}}',)),
        ("region:", ("region:",)),
        ("", ()),
    ],
)
def test_a_filter_is_written_with_a_colon_or_in_the_filter_language(typed: str, filters: tuple[str, ...]) -> None:
    assert read_page_params(QueryParams({"q": " red  fish ", "add": typed})) == PageParams("red fish", filters)


def test_an_address_is_read_as_it_was_written() -> None:
    params = PageParams("größe & 50%", ("region=emea", "kind=a b"), "no rerank", "words only")

    assert read_page_params(QueryParams(params.address[1:])) == params
    assert read_page_params(QueryParams(params.without("kind=a b")[1:])).filters == ("region=emea",)
    assert read_page_params(QueryParams(params.narrowed("x", "y")[1:])).filters == ("region=emea", "kind=a b", "x=y")


def test_an_address_holds_so_many_filters() -> None:
    params = read_page_params(QueryParams([("q", "x"), *(("f", f"a={at}") for at in range(30))]))

    assert params.filters == tuple(f"a={at}" for at in range(20))


def hit(rank: int, explain: Explanation, **fields: Any) -> SearchHit:
    return SearchHit(f"d{rank}", 1.0, rank, "local", fields, Passage(f"d{rank}", 0, "a red fish"), explain)


def test_an_answer_is_described_with_who_moved_what_is_a_value_and_what_was_left_out() -> None:
    part = ScorePart(1.0, 1, None, 0.5)
    final = ScoreExplanation("linear", {"before": part, "rerank": part})
    stages = {"local": StageExplanation(1, 0.9, False, final)}
    up = Explanation({}, 4, 0.1, ScoreExplanation("rrf", {"lexical": part}), stages)
    orders = {"lexical": "d1 d2 d3", "fused": "d2 d1 d3", "local": "d1 d2 d3", "reranked": "d1 d2 d3"}
    response = SearchResponse(
        "red",
        (hit(1, up, title="A title", colour="red", long="x" * 61), hit(2, Explanation(fused_rank=2))),
        (Degradation("dense", "late"),),
        {"lexical": 5.0, "total": 20.0},
        {
            "local": StageOutcome(True, 2, 2),
            "second": StageOutcome(False, 0, why="gap"),
            "dense": StageOutcome(False, 0),
        },
        {name: ranking(*order.split()) for name, order in orders.items()},
        ("a note",),
    )
    found = describe(response, {"colour": "keyword", "long": "keyword"}, {"d3": "Third"}, rows=9)

    first, second = found.hits
    assert (first.moved, second.moved) == (3, 0)
    assert (first.title, second.title) == ("A title", "d2")
    assert first.values == {"colour": "red"}
    assert list(first.sums) == ["fused", "local"]
    assert [(place.name, place.rank) for place in first.places] == [("fused", 4), ("local alone", 1)]
    assert found.left_out == ("dense: late", "second was left out: gap", "a note")
    assert {bar.name: bar.percent for bar in found.times} == {"lexical": 25.0, "total": 100.0}
    assert [column.name for column in found.side_by_side.columns] == ["lexical", "fused", "local"]
    assert [cell.title for cell in found.side_by_side.columns[0].cells] == ["A title", "d2", "Third"]


def test_lines_lead_from_column_to_column_and_to_the_edge_for_what_is_below_the_rows() -> None:
    rankings = {"fused": ranking("a", "b", "c", "d"), "reranked by x": ranking("b", "a", "d", "c", "e")}
    sides = put_side_by_side(rankings, {"a": "Apple"}, {"fuse": 1.5}, rows=2)

    assert [[(cell.title, cell.final) for cell in column.cells] for column in sides.columns] == [
        [("Apple", 2), ("b", 1)],
        [("b", 1), ("Apple", 2)],
    ]
    assert [column.took_ms for column in sides.columns] == [1.5, None]
    assert {line.doc_id: (line.start, line.end, line.direction) for line in sides.gaps[0]} == {
        "a": (5.0, 15.0, "down"),
        "b": (15.0, 5.0, "up"),
    }
    below = put_side_by_side({"x": ranking("a", "b", "c"), "y": ranking("c", "b", "a")}, {}, {}, rows=1).gaps[0]
    assert {(line.doc_id, line.start, line.end) for line in below} == {("a", 5.0, 10.0), ("c", 10.0, 5.0)}


def test_judgments_of_a_folders_own_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n", encoding="utf-8")

    with pytest.raises(SettingsError, match="judge import"):
        Grading(tmp_path)


def test_a_query_in_another_spelling_is_the_same_query_and_no_grade_is_no_grade(tmp_path: Path) -> None:
    grading = Grading(tmp_path / "judged")
    grading.grade("Red fish", "a", 3, "anna")
    grading.grade("red  fish?", "b", 1, "anna")
    grading.grade("red fish", "b", 0, "ben")

    assert len(grading.folder.queries()) == 1
    assert grading.grades_of("RED FISH", "anna") == {"a": 3, "b": 1}
    assert grading.grades_of("blue", "anna") == {}
    for query, doc_id, grade in (("red", "a", -1), ("red", "", 2), ("?", "a", 2)):
        with pytest.raises(SettingsError):
            grading.grade(query, doc_id, grade, "anna")
