"""Files as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.errors import SourceError
from connector.judging.formats.judged import Judged, JudgmentsToWrite
from connector.judging.formats.quepid import write_quepid
from connector.judging.formats.recognise import READERS, recognise

CASE = 'query,docid,rating\nred fish,d1,3\nunrated\n" -1 to 1, in words",d2,0\n'
BOOK = "query,docid,Anna,bo@example.org\nred fish,d1,3,\nred fish,d2,1,2\nblue,d3,,\n"
SHOWN = {
    "took": 3,
    "hits": {
        "hits": [
            {
                "_source": {
                    "name": "by a model",
                    "type": "LLM_JUDGMENT",
                    "judgmentRatings": [
                        {
                            "query": "red fish",
                            "ratings": [{"docId": "d1", "rating": "0.25"}],
                            "failures": [{"docId": "d2"}],
                        }
                    ],
                }
            }
        ]
    },
}
RANK_EVAL = {
    "requests": [
        {
            "id": "fish_query",
            "request": {"query": {"bool": {"must": {"match": {"title": "red fish"}}}}},
            "ratings": [{"_index": "kb", "_id": "d1", "rating": 3}, {"_index": "kb", "_id": "d2", "rating": 0}],
        },
        {
            "id": "by_template",
            "template_id": "words",
            "params": {"query_string": "blue bird"},
            "ratings": [{"_index": "kb", "_id": 7, "rating": 1}],
        },
        {"id": "unclear", "request": {"query": {"match_all": {}}}, "ratings": []},
    ],
    "templates": [{"id": "words", "template": {"inline": {"query": {"match": {"title": "{{query_string}}"}}}}}],
    "metric": {"precision": {"k": 5}},
}


def read(tmp_path: Path, content: str | Any) -> Any:
    file = tmp_path / "file"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    name = recognise(file)
    return name, READERS[name](file)


def judgments_of(found: list[Judged]) -> list[tuple[str, str, str, float, str]]:
    return [(judgment.query_id, judgment.text, judgment.doc_id, judgment.value, judgment.by) for judgment in found]


def test_a_case_of_quepid_with_queries_that_nobody_rated(tmp_path: Path) -> None:
    name, found = read(tmp_path, CASE)

    assert name == "quepid"
    assert judgments_of(found.judged) == [("", "red fish", "d1", 3, ""), ("", "-1 to 1, in words", "d2", 0, "")]
    assert found.notes == ("1 rows have no rating",)


def test_quepids_guard_against_formulas_is_written_and_taken_off() -> None:
    written = write_quepid(JudgmentsToWrite({"q": "=1+1"}, {"q": {"d": 2}}))

    assert written.text == "query,docid,rating\n =1+1,d,2\n"


def test_a_book_of_quepid_has_a_column_for_each_rater(tmp_path: Path) -> None:
    name, found = read(tmp_path, BOOK)

    assert name == "quepid"
    assert judgments_of(found.judged) == [
        ("", "red fish", "d1", 3, "Anna"),
        ("", "red fish", "d2", 1, "Anna"),
        ("", "red fish", "d2", 2, "bo@example.org"),
    ]


def test_a_judgment_list_as_the_workbench_shows_it(tmp_path: Path) -> None:
    name, found = read(tmp_path, SHOWN)

    assert name == "workbench"
    assert judgments_of(found.judged) == [("", "red fish", "d1", 0.25, "by a model")]
    assert found.notes == ("1 documents were left unrated there",)


def test_a_rank_eval_body_says_what_its_requests_search_for(tmp_path: Path) -> None:
    name, found = read(tmp_path, RANK_EVAL)

    assert name == "rank-eval"
    assert judgments_of(found.judged) == [
        ("fish_query", "red fish", "d1", 3, ""),
        ("fish_query", "red fish", "d2", 0, ""),
        ("by_template", "blue bird", "7", 1, ""),
    ]
    assert list(found.bodies) == ["fish_query", "unclear"]


def test_documents_of_several_indices_are_named_with_them(tmp_path: Path) -> None:
    two = {"requests": [{"id": "q", "request": {}, "ratings": [{"_index": i, "_id": "1", "rating": 1} for i in "ab"]}]}

    assert [judgment.doc_id for judgment in read(tmp_path, two)[1].judged] == ["a/1", "b/1"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("q1 0 d1 3\n", "trec"),
        ("q1\tQ0\td1\t3\n", "trec"),
        ("query-id\tcorpus-id\tscore\nq1\td1\t3\n", "beir"),
        ("Query,DocID,Rating\na,b,1\n", "quepid"),
        ({"judgmentRatings": []}, "workbench"),
        ('{"query_id": "1", "user_query": "a"}\n{"query_id": "1", "action_name": "click"}\n', "ubi"),
        ('{"_index": "ubi_events", "_source": {"query_id": "1", "action_name": "click"}}\n', "ubi"),
    ],
)
def test_a_format_is_known_by_its_content(tmp_path: Path, content: Any, name: str) -> None:
    file = tmp_path / "file"
    file.write_text(content if isinstance(content, str) else json.dumps(content))

    assert recognise(file) == name


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ({"hello": "world"}, "JSON of a kind that is not known here"),
        ("query,docid,rating\na,b,many\n", ":2 has the rating 'many', which is no number"),
        ('query,docid,rating\n"a,b,1\n', "is no CSV"),
        ("query,docid,rating\na,,1\n", ":2 has a rating without a document"),
        ("query,docid,rating\na,b,1,2\n", ":2 has 4 columns, more than the first line"),
        ({"requests": [{"id": "a"}]}, "something else is there .KeyError"),
        ({"judgmentRatings": [{"query": "a", "ratings": [{"docId": "d"}]}]}, "something else is there"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        read(tmp_path, content)
