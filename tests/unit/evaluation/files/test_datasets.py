"""Judged collections in BEIR's layout and in TREC's files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.evaluation.evaluations import collection, ranked

from connector.errors import SourceError
from connector.evaluation.files.datasets import Collection, read_collection
from connector.evaluation.files.judgments import read_judgments
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.trec import read_topics, read_trec, write_run

QUERIES = [
    {"_id": "q1", "text": "red fish", "kind": "code", "tags": ["a", "b"], "metadata": {"year": 2024, "none": None}},
    {"_id": 2, "text": "blue bird"},
    {"_id": "q3", "text": "nobody judged this"},
]
OLD = """<top>
<num> Number: 301
<title> International Organized Crime
<desc> Description:
Identify organizations that
participate &amp; more.
</top>
<top><num>302</num><title>Topic: Polio </title></top>"""
NEW = """<topics>
<topic number="1" type="faceted"><query>coronavirus origin</query><question>what is it</question></topic>
<topic number="2" type="single"><query>weather</query></topic></topics>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in QUERIES))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta b\t2\nq1\tc\t0\n2\td\t1\n")
    with gzip.open(tmp_path / "qrels" / "dev.tsv.gz", "wt") as file:
        file.write("query-id\tcorpus-id\tscore\nq3\td\t1\n")
    return tmp_path


def test_a_beir_folder_gives_its_judged_queries_with_their_labels(folder: Path) -> None:
    found = read_collection(folder)

    assert [query.query_id for query in found.queries] == ["q1", "2"]
    assert found.qrels == {"q1": {"a b": 2, "c": 0}, "2": {"d": 1}}
    assert found.queries[0].labels == {"kind": ("code",), "tags": ("a", "b"), "metadata.year": ("2024",)}
    assert (found.queries[0].kind, found.queries[1].kind) == ("code", "")


def test_another_split_has_other_judgments(folder: Path) -> None:
    assert list(read_collection(folder, split="dev").qrels) == ["q3"]
    with pytest.raises(SourceError, match=r"no qrels/train.tsv or qrels.tsv"):
        read_collection(folder, split="train")


def test_the_fingerprint_tells_data_apart_and_not_their_order() -> None:
    original = collection({"a": {"x": 1, "y": 0}, "b": {"x": 1}})

    assert original.fingerprint == collection({"b": {"x": 1}, "a": {"y": 0, "x": 1}}).fingerprint
    others = [
        collection({"a": {"x": 1, "y": 1}, "b": {"x": 1}}),
        collection({"a": {"x": 1, "y": 0}}),
        collection({"a": {"x": 1, "y": 0}, "b": {"x": 1}}, texts={"a": "other"}),
    ]
    assert len({original.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_a_sample_is_the_same_every_time() -> None:
    whole = collection({str(at): {"x": 1} for at in range(50)})
    sample = whole.sample(7)

    assert len(sample.queries) == 7
    assert set(sample.qrels) == {query.query_id for query in sample.queries}
    assert sample == whole.sample(7)
    assert whole.sample(0) is whole.sample(50) is whole


def test_a_part_without_queries_has_the_grades_of_its_collection() -> None:
    whole = Collection("c", (JudgedQuery("q", "red fish"),), {"q": {"d": 3}})

    assert whole.only(()).highest_grade == 3
    assert Collection("empty", (), {}).highest_grade == 1


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_trec_qrels(tmp_path: Path, separator: str) -> None:
    rows = [("301", "0", "FT-1", "2"), ("301", "Q0", "FT-2", "-1"), ("302", "0", "LA-3", "0")]
    (tmp_path / "qrels").write_text("".join(separator.join(row) + "\n" for row in rows) + "\n")

    assert read_judgments(tmp_path / "qrels").qrels == {"301": {"FT-1": 2, "FT-2": -1}, "302": {"LA-3": 0}}


def test_a_judgment_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("1 0 d 1\n1 0 d\n")

    with pytest.raises(SourceError, match=r"qrels:2 is no judgment"):
        read_judgments(tmp_path / "qrels")


@pytest.mark.parametrize(
    ("text", "field", "found"),
    [
        (OLD, None, {"301": "International Organized Crime", "302": "Polio"}),
        (OLD, "desc", {"301": "Identify organizations that participate & more."}),
        (NEW, None, {"1": "coronavirus origin", "2": "weather"}),
        (NEW, "question", {"1": "what is it"}),
        ("<top><num>1<title>pressure < 5 bar & valves<desc>x</top>", None, {"1": "pressure < 5 bar & valves"}),
        ('<topic number="1"><title lang="en">a <b>bold</b> pump</title></topic>', None, {"1": "a bold pump"}),
        ('<topic number="1"><query><![CDATA[a < b & c]]></query></topic>', None, {"1": "a < b & c"}),
        ("<!-- <top><num>9<title>old</top> -->\n<top><num>1<title>new</top>", None, {"1": "new"}),
        ("51\twhat is a knee\n52\tlast line\n\n", None, {"51": "what is a knee", "52": "last line"}),
    ],
    ids=["tags", "description", "attributes", "question", "a bare <", "tags within", "CDATA", "a comment", "lines"],
)
def test_topics(tmp_path: Path, text: str, field: str | None, found: dict[str, str]) -> None:
    (tmp_path / "topics").write_text(text)

    assert {query.query_id: query.text for query in read_topics(tmp_path / "topics", field=field).queries} == found


def test_a_topics_attributes_are_labels(tmp_path: Path) -> None:
    (tmp_path / "topics.xml").write_text(NEW)
    (tmp_path / "qrels").write_text("1 0 d 1\n")
    found = read_trec(tmp_path / "topics.xml", tmp_path / "qrels")

    assert (found.name, [query.labels for query in found.queries]) == ("topics", [{"type": ("faceted",)}])


@pytest.mark.parametrize(
    ("topics", "says"), [("", "has no topics"), ("9\tother", "do the queries and the qrels belong together")]
)
def test_topics_that_cannot_be_used_say_why(tmp_path: Path, topics: str, says: str) -> None:
    (tmp_path / "topics").write_text(topics)
    (tmp_path / "qrels").write_text("1 0 d 1\n")

    with pytest.raises(SourceError, match=says):
        read_trec(tmp_path / "topics", tmp_path / "qrels")


def test_a_run_file_has_falling_scores_and_no_blanks_in_ids(tmp_path: Path) -> None:
    tied = tuple(type(hit)(hit.doc_id, 1.0) for hit in ranked("b b", "a"))
    write_run(tmp_path / "run", {"q 1": tied, "q2": ()}, "mine")

    assert (tmp_path / "run").read_text().splitlines() == ["q%201 Q0 b%20b 1 2 mine", "q%201 Q0 a 2 1 mine"]
