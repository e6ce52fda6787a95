"""What becomes of judgments on their way into a folder: placed, added, left out, counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.errors import SourceError
from connector.judging.folder import JudgingFolder
from connector.judging.formats.bodies import read_bodies
from connector.judging.formats.exporting import read_judgments, write_judgments
from connector.judging.formats.importing import import_judged
from connector.judging.formats.judged import Judged, JudgedFile
from connector.judging.pairs import Pair, write_pairs

FILE = JudgedFile(
    (
        Judged("d1", 3, text="Red  FISH"),
        Judged("d2", 0, query_id="q1", by="anna"),
        Judged("d3", 1, text="green bird"),
        Judged("d4", 2, query_id="q9"),
    )
)


def make_folder(path: Path, *, queries: bool = True) -> JudgingFolder:
    folder = JudgingFolder.make(path / "folder")
    if queries:
        folder.queries_file.write_text('{"_id": "q1", "text": "red fish", "frequency": 3}')  # without a line end
        write_pairs(folder.pool_file, [Pair("q1", "d1", 0, {"title": "Fish"})])
    return folder


def test_queries_are_found_by_text_or_id_and_what_has_none_is_counted(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    report = import_judged(folder, FILE, by="file")

    assert (report.new, report.known, report.unplaced, report.outside_pool, report.added_queries) == (2, 0, 2, 1, 0)
    assert "2 judgments are of 2 queries that are not in the folder" in report.notes[0]
    assert "'green bird', 'q9'; --add-queries" in report.notes[0]
    assert [(grade.doc_id, grade.grade, grade.by, grade.kind) for grade in folder.grades().read()] == [
        ("d1", 3, "file", "imported"),
        ("d2", 0, "anna", "imported"),
    ]


def test_the_same_file_again_brings_nothing_new(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    import_judged(folder, FILE, by="file")
    lines = folder.grades_file.read_bytes()
    report = import_judged(folder, FILE, by="file")

    assert (report.new, report.known) == (0, 2)
    assert folder.grades_file.read_bytes() == lines


def test_queries_are_added_where_that_is_asked_for_or_none_are_there(tmp_path: Path) -> None:
    folder, empty = make_folder(tmp_path), make_folder(tmp_path / "empty", queries=False)
    report = import_judged(folder, FILE, by="file", add_queries=True)
    fresh = import_judged(empty, FILE, by="file")

    assert (report.added_queries, report.unplaced) == (1, 1)
    assert [query.text for query in folder.queries()] == ["red fish", "green bird"]
    assert json.loads(folder.queries_file.read_text().splitlines()[0])["frequency"] == 3
    assert (fresh.added_queries, fresh.unplaced) == (2, 2)
    assert [query.text for query in empty.queries()] == ["Red FISH", "green bird"]
    assert import_judged(empty, FILE, by="file").new == 0


def test_queries_of_another_encoding_are_added_to(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    folder.queries_file.write_bytes('{"_id": "q1", "text": "red fish"}\n'.encode("utf-16"))
    import_judged(folder, FILE, by="file", add_queries=True)

    assert [query.text for query in folder.queries()] == ["red fish", "green bird"]


def test_a_value_is_a_grade_as_it_is_or_by_cuts(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    values = JudgedFile(tuple(Judged(f"d{at}", value, query_id="q1") for at, value in enumerate((0, 0.1, 0.59, 0.6))))
    with pytest.raises(SourceError, match=r"0.1 of 'd1' is no whole grade.*--cuts"):
        import_judged(folder, values, by="file")

    assert not folder.grades_file.exists()
    import_judged(folder, values, by="file", cuts=[0.1, 0.3, 0.6])
    assert [grade.grade for grade in folder.grades().read()] == [0, 1, 2, 3]
    assert folder.grades().read()[0].about == {"cuts": [0.1, 0.3, 0.6]}


def test_grades_of_another_scale_are_counted(tmp_path: Path) -> None:
    file = JudgedFile(tuple(Judged(f"d{value}", value, query_id="q1") for value in (-2, 0, 3, 10)))
    notes = import_judged(make_folder(tmp_path), file, by="file").notes

    assert [note.split(",")[0] for note in notes] == ["2 grades are not from 0 to 3"]
    assert import_judged(make_folder(tmp_path / "cut"), file, by="file", cuts=[1, 2, 3]).notes == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 10_001.0])
@pytest.mark.parametrize("cuts", [(), (0.1, 0.3, 0.6)])
def test_what_is_no_number_to_measure_with_is_no_grade(value: float, cuts: tuple[float, ...], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'d1' is no grade; a value is a number, and at most 10,000"):
        import_judged(make_folder(tmp_path), JudgedFile((Judged("d1", value, query_id="q1"),)), by="file", cuts=cuts)


def test_two_grades_of_one_pair_by_one_judge_are_refused(tmp_path: Path) -> None:
    twice = JudgedFile((Judged("d1", 3, text="red fish"), Judged("d1", 2, text="Red Fish")))

    with pytest.raises(SourceError, match="the grades 3 and 2"):
        import_judged(make_folder(tmp_path), twice, by="file")


def test_the_engine_query_of_a_query_is_kept_for_the_way_out(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    body = {"query": {"match": {"title": "red fish"}}}
    file = JudgedFile(
        (Judged("d1", 3, query_id="fish_query", text="red fish"), Judged("d2", 1, query_id="b", text="green bird")),
        bodies={"fish_query": body},
    )
    import_judged(folder, file, by="file", add_queries=True)
    written = write_judgments(read_judgments(folder), "rank-eval", name="", index="kb", template=None, fields=["title"])
    requests = {request["id"]: request["request"] for request in json.loads(written.text)["requests"]}

    assert read_bodies(folder.path) == {"q1": body}
    assert requests == {"q1": body, "b": {"query": {"multi_match": {"query": "green bird", "fields": ["title"]}}}}
