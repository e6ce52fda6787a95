"""Many grades of a pair become the one that counts; who gave it stays known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.errors import DiskError, SourceError
from connector.evaluation.files.judgments import read_judgments
from connector.judging.folder import JudgingFolder
from connector.judging.grades import SETTLED, Grade
from connector.judging.resolve import resolve, write_judgments, write_qrels

IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n") | st.sampled_from('" '), min_size=1
)


def grades(*given: tuple[str, int | None] | tuple[str, int | None, str], doc_id: str = "d") -> list[Grade]:
    """(by, grade, kind) of one pair."""
    return [Grade("q", doc_id, grade, by, *kind) for by, grade, *kind in given]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("anna", 3)], 3),
        ([("anna", 3), ("ben", 1), ("carl", 2)], 2),
        ([("anna", 3), ("ben", 0)], 0),  # of two middle ones the lower
        ([("anna", 3), ("ben", 3), ("carl", 1), ("dora", 0)], 1),
        ([("anna", 3), ("ben", 0), (SETTLED, 2)], 2),
        ([("anna", 3), ("ben", None)], 3),  # skipped
        ([("gpt", 3, "model"), ("anna", 0)], 0),
        ([("gpt", 3, "model"), ("old", 9, "imported")], 9),
        ([("ubi", 1, "clicks"), ("gpt", 3, "model")], 3),
        ([("anna", 2), ("ubi", 0, "clicks"), ("old", 0, "imported")], 2),
    ],
)
def test_the_grade_that_counts(given: list[tuple[str, int | None]], expected: int) -> None:
    assert resolve(grades(*given)).qrels == {"q": {"d": expected}}
    assert resolve(reversed(grades(*given))).qrels == {"q": {"d": expected}}


def test_who_judged_is_kept() -> None:
    model = Grade("q", "e", 1, "smollm", "model", about={"prompt": "5fa1"})
    resolved = resolve([*grades(("ben", 1), ("anna", 1), ("gpt", 2, "model")), model])

    assert [(grade.doc_id, grade.kind, grade.by) for grade in resolved.grades] == [
        ("d", "person", ("anna", "ben")), ("e", "model", ("smollm",)),
    ]  # fmt: skip
    assert resolved.grades[1].grades[0].about == {"prompt": "5fa1"}


def test_only_the_kinds_that_are_asked_for_count() -> None:
    given = [*grades(("anna", 0), ("gpt", 3, "model")), *grades(("anna", 1), doc_id="e")]

    assert resolve(given, kinds=("model",)).qrels == {"q": {"d": 3}}


def test_disagreements_are_of_people_the_widest_first() -> None:
    resolved = resolve(
        [
            *grades(("anna", 1), ("ben", 2)),
            *grades(("anna", 3), ("ben", 0), doc_id="e"),
            *grades(("anna", 2), ("ben", 2), ("gpt", 0, "model"), doc_id="f"),
            *grades(("anna", 0), ("ben", 1), (SETTLED, 0), doc_id="g"),
            *grades(("anna", 0), ("ben", None), doc_id="h"),
        ]
    )

    assert [(pair.doc_id, pair.spread, pair.settled) for pair in resolved.disagreements] == [
        ("e", 3, None), ("d", 1, None), ("g", 1, 0),
    ]  # fmt: skip
    assert [pair.doc_id for pair in resolved.open] == ["e", "d"]


def test_qrels_are_written_as_eval_reads_them(tmp_path: Path) -> None:
    qrels = {"q 2": {"d": 0}, "q1": {"d/3": 3, "d 1": 1}}
    write_qrels(tmp_path / "qrels" / "test.tsv", qrels)

    assert read_judgments(tmp_path / "qrels" / "test.tsv").qrels == qrels
    assert [file.name for file in (tmp_path / "qrels").iterdir()] == ["test.tsv"]


@given(query_id=IDS, doc_id=IDS)
@example(query_id='"', doc_id=' "a" ')
@example(query_id="\ufeffa", doc_id="a\u2028")
def test_whatever_is_in_an_id_eval_reads_it_back(
    tmp_path_factory: pytest.TempPathFactory, query_id: str, doc_id: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.tsv"
    write_qrels(file, {query_id: {doc_id: 1}})

    assert read_judgments(file).qrels == {query_id: {doc_id: 1}}


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\0"])
def test_an_id_that_a_file_of_judgments_cannot_hold_is_an_error(tmp_path: Path, name: str) -> None:
    for qrels in ({name: {"d": 1}}, {"q": {name: 1}}):
        with pytest.raises(SourceError, match=r"cannot stand in test.tsv"):
            write_qrels(tmp_path / "test.tsv", qrels)
    assert list(tmp_path.iterdir()) == []


def test_qrels_that_cannot_be_written_leave_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("a file where a folder should be")

    with pytest.raises(DiskError, match="the grades are kept"):
        write_qrels(tmp_path / "qrels" / "test.tsv", {"q": {"d": 1}})


def test_of_two_who_judge_at_once_neither_takes_the_other_s_grade_out_of_the_judgments(tmp_path: Path) -> None:
    folder = JudgingFolder(tmp_path)

    def judge(rater: str) -> list[str]:
        """The grades that were not in the judgments once they were kept."""
        log, missing = folder.grades(), []
        for at in range(100):
            log.append(Grade(rater, f"d{at}", 1, rater))
            write_judgments(folder, log)
            kept = read_judgments(folder.qrels_file).qrels
            missing += [] if f"d{at}" in kept.get(rater, {}) else [f"{rater}: d{at}"]
        return missing

    with ThreadPoolExecutor(2) as raters:
        missing = [*raters.map(judge, ("anna", "ben"))]

    assert missing == [[], []]
