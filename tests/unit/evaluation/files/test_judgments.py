"""Judgments as files have them: columns, headers, grades, repeated rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.evaluation.files.judgments import Judgments, read_judgments

EXPECTED = {"q1": {"d 1": 2, "d2": 0}, "7": {"d3": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq1\td 1\t2\nq1\td2\t0\n7\td3\t1\n",
        "q1\td 1\t2\nq1\td2\t0\n7\td3\t1",
        "qid\tdocid\trel\nq1\td 1\t2\nq1\td2\t0\n7\td3\t1\n",
        "Query ID\tDoc_ID\tRelevance\n\nq1\td 1\t2 \n  \nq1\td2\t0\t\r\n7\td3\t1\r\n",
        "doc_id\tquery_id\tgrade\nd 1\tq1\t2\nd2\tq1\t0\nd3\t7\t1\n",
        "query\titer\tdoc\trel\nq1\t0\td 1\t2\nq1\tQ0\td2\t0\n7\t0\td3\t1\n",
        "q1\td 1\t2.0\rq1\td2\t+0\r7\td3\t1.\r",
        '"q1"\t"d 1"\t"2"\nq1\td2\t0\n7\td3\t1\n',
        "query-id\tcorpus-id\tscore\nq1\td 1\t2\nquery-id\tcorpus-id\tscore\nq1\td2\t0\n7\td3\t1\n",
    ],
    ids=[
        "BEIR",
        "no header",
        "other words",
        "blanks and CRLF",
        "other order",
        "TREC",
        "floats, CR",
        "quotes",
        "joined",
    ],
)
def test_rows_are_read_in_any_layout(tmp_path: Path, text: str) -> None:
    (tmp_path / "qrels.tsv").write_bytes(text.encode())

    assert read_judgments(tmp_path / "qrels.tsv") == Judgments(EXPECTED)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q1\td1\tgood\n", "1 is no judgment: its grade is 'good'"),
        ("q1\td1\trelevant\nq1\td2\t1\n", "1 is no judgment: its grade is 'relevant'"),
        ("score\td1\tx\n", "1 is no judgment: its grade is 'x'"),
        ("q1\td1\t1\nq1\td2\t0.5\n", "2 is no judgment: its grade is '0.5'"),
        ("q1\td1\t1\n\nq1\td2\tnan\n", "3 is no judgment: its grade is 'nan'"),
        ("q1\td1\t1_0\n", "1 is no judgment: its grade is '1_0'"),
        ("q1\td1\t99999999\n", "1 is no judgment: its grade is 99999999; at most 10,000"),
        ("q1\td1\n", "1 is no judgment: it has 2 columns"),
        ("q1,d1,1\n", "1 is no judgment: it has 1 columns"),
        ("q1 a b 1\n", "1 is no judgment: of four columns the second is TREC's 0, not 'a'"),
        ("q1\t\t1\n", "1 is no judgment: its document has no id"),
        ("q1\td1\t1\nq2\td1\t1\nq1\td1\t2\n", "3 gives 'd1' the grade 2 for query 'q1', but line 1 gives it 1"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "qrels.tsv").write_text(text)

    with pytest.raises(SourceError) as raised:
        read_judgments(tmp_path / "qrels.tsv")
    assert f"qrels.tsv:{says}" in str(raised.value)


def test_the_same_judgment_again_is_counted(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv").write_text("q\td\t1\nq\te\t0\nq\td\t1\nq\td\t1\n")

    assert read_judgments(tmp_path / "qrels.tsv") == Judgments({"q": {"d": 1, "e": 0}}, repeated=2)


@pytest.mark.parametrize("text", ["", "\n \n", "query-id\tcorpus-id\tscore\n"])
def test_a_file_without_judgments_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "qrels.tsv").write_text(text)

    with pytest.raises(SourceError, match=r"qrels\.tsv has no judgments"):
        read_judgments(tmp_path / "qrels.tsv")
