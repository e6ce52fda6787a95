"""Queries as files have them: ids and texts of any type, repeated entries, what is no query."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.evaluation.files.datasets import read_collection
from connector.evaluation.files.queries import read_queries


@pytest.mark.parametrize(
    ("line", "query_id", "text"),
    [
        ('{"_id": 1, "text": "one"}', "1", "one"),
        ('{"_id": 1.0, "text": 1787}', "1", "1787"),
        ('{"_id": " q1 ", "text": 2.5}', "q1", "2.5"),
        ('{"_id": "1.0", "text": " two  words "}', "1.0", "two  words"),
    ],
)
def test_numbers_become_their_text(tmp_path: Path, line: str, query_id: str, text: str) -> None:
    (tmp_path / "queries.jsonl").write_text(line)
    (query,) = read_queries(tmp_path / "queries.jsonl").queries

    assert (query.query_id, query.text) == (query_id, text)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"_id": "q2"}', "its text is missing"),
        ('{"text": "two"}', "its _id is missing"),
        ('{"_id": true, "text": "two"}', "its _id is missing, or neither a text nor a number"),
        ('{"_id": "q2", "text": ["two"]}', "its text is missing, or neither"),
        ('{"_id": "q2", "text": NaN}', "its text is missing, or neither"),
        ('{"_id": "q2", "text": " "}', "it has no text"),
        ('{"_id": "q2", "text": "\\u200b\\u00ad"}', "it has no text"),
        ('{"_id": "", "text": "two"}', "it has no id"),
        ('{"_id": "q2", "_id": "q3", "text": "two"}', "a name is in it twice"),
        ('{"_id": "q2", "text": "half a pair: \\ud83e"}', "surrogates not allowed"),
        ('["q2", "two"]', "is no JSON object; it needs _id and text"),
        ('{"_id": "q2", ', "is no JSON object"),
        ('{"_id": "q1", "text": "another"}', "has the id 'q1' of line 1, and another text"),
    ],
)
def test_a_line_that_is_no_query_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "one"}\n\n' + line + "\n")

    with pytest.raises(SourceError) as raised:
        read_queries(tmp_path / "queries.jsonl")
    assert "queries.jsonl:3 " in str(raised.value)
    assert says in str(raised.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text("\n")

    with pytest.raises(SourceError, match=r"queries\.jsonl has no queries"):
        read_queries(tmp_path / "queries.jsonl")


def test_all_that_is_left_out_is_counted_and_said(tmp_path: Path) -> None:
    lines = ['{"_id": "a", "text": "x"}', '{"_id": "b", "text": "y"}', '{"_id": "c", "text": "z"}']
    (tmp_path / "queries.jsonl").write_text("\n".join([*lines, lines[0]]))
    (tmp_path / "qrels.tsv").write_text("a\td\t1\na\td\t1\nb\td\t0\ngone\td\t1\ngone\te\t1\n")
    found = read_collection(tmp_path)

    assert found.notes == (
        "1 queries are in their file again, with the same text; each counts once",
        "1 judgments are in their file again, with the same grade; each counts once",
        "1 of 3 queries have no judgment and are left out",
        "2 judgments are of 1 queries that are not there, and are left out: gone",
        "1 queries have no relevant document, so they score 0: b",
    )
    assert found.sample(1).notes == found.notes


def test_a_split_that_is_asked_for_goes_before_the_judgments_of_all(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    (tmp_path / "qrels.tsv").write_text("a\td\t1\n")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "dev.tsv").write_text("b\td\t1\n")

    assert [*read_collection(tmp_path, split="dev").qrels] == ["b"]
    assert [*read_collection(tmp_path).qrels] == ["a"]
