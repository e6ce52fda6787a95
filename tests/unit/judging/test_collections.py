"""A judging folder as a collection: by whom it was judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.errors import SettingsError
from connector.judging.collections import is_judging_folder, read_judged
from connector.judging.grades import Grade, GradeLog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three queries: a person judged the first, a model the first two, nobody the third."""
    queries = [{"_id": f"q{at}", "text": f"query {at}"} for at in range(3)]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    log = GradeLog(tmp_path / "grades.jsonl")
    log.extend([Grade("q0", "a", 2, "anna"), Grade("q0", "b", None, "anna")])
    log.extend([Grade("q0", "a", 0, "gpt", "model"), Grade("q1", "a", 1, "gpt", "model")])
    return tmp_path


def test_grades_of_one_kind_are_taken_alone(folder: Path) -> None:
    assert read_judged(folder, "person").qrels == {"q0": {"a": 2}}
    assert read_judged(folder, "model").qrels == {"q0": {"a": 0}, "q1": {"a": 1}}
    assert not read_judged(folder, "model").apart


def test_all_has_what_counts_and_each_kind_apart(folder: Path) -> None:
    judged = read_judged(folder, "all")

    assert judged.qrels == {"q0": {"a": 2}, "q1": {"a": 1}}
    assert judged.apart == {"person": {"q0": {"a": 2}}, "model": {"q0": {"a": 0}, "q1": {"a": 1}}}
    assert judged.highest_grade == 3
    assert judged.notes == ("1 of 3 queries have no judgment and are left out",)
    assert judged.only(judged.queries[1:]).apart == {"person": {}, "model": {"q1": {"a": 1}}}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("clicks", "no grade in .* is by clicks; there are grades by person, model"),
        ("anna", "'anna' is no kind of judge; use one of person, model, clicks, imported, all"),
    ],
)
def test_judges_that_are_not_there_are_refused(folder: Path, kind: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read_judged(folder, kind)


def test_a_folder_that_does_not_say_who_judged_is_refused(tmp_path: Path) -> None:
    assert not is_judging_folder(tmp_path)
    with pytest.raises(SettingsError, match=r"has no grades\.jsonl, so nobody knows who judged"):
        read_judged(tmp_path, "person")
