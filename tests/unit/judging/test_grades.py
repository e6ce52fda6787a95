"""`grades.jsonl` loses nothing that was acknowledged, whatever happens around it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from support.programs.other_user import as_other_user

from connector.errors import DiskError, SourceError
from connector.judging.grades import LOCK, Grade, GradeLog, standing

APPENDING = """
import sys
from pathlib import Path
from connector.judging.grades import Grade, GradeLog
path, by, count, note = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "n" * int(sys.argv[4])
log = GradeLog(path)
sys.stdin.readline()
for at in range(count):
    log.append(Grade("q", f"d{at}", at % 4, by, note=note))
    print(at, flush=True)
"""


def appending(path: Path, by: str, count: int, *, note_chars: int = 0) -> subprocess.Popen[str]:
    """A process that says the number of each grade once it is kept; it begins when it reads a line."""
    arguments = [sys.executable, "-c", APPENDING, str(path), by, str(count), str(note_chars)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def log(tmp_path: Path) -> GradeLog:
    return GradeLog(tmp_path / "grades.jsonl")


def test_a_grade_is_read_as_it_was_given(log: GradeLog) -> None:
    given = Grade("q1", "d 1", 2, "zoë", note="names the part\nnot the price \u2028", about={"seconds": 4})
    log.append(given)

    assert log.read() == (given,)
    assert GradeLog(log.path).read() == (given,)
    assert json.loads(log.path.read_text("utf-8")) == {
        "query_id": "q1", "doc_id": "d 1", "grade": 2, "by": "zoë", "kind": "person", "about": {"seconds": 4},
        "note": given.note, "undoes": False, "at": given.at,
    }  # fmt: skip


def test_a_grade_is_on_disk_before_append_returns(log: GradeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(log.path.read_bytes()), sync(file)))
    log.append(Grade("q", "d", 1, "anna"))
    log.append(Grade("q", "e", 3, "anna"))

    assert synced[-1] == log.path.read_bytes()
    assert len(synced) == 3  # the new file's folder too


def test_the_last_grade_of_a_pair_and_judge_stands(log: GradeLog) -> None:
    for by, grade in (("anna", 0), ("ben", 3), ("anna", 2)):
        log.append(Grade("q", "d", grade, by))
    log.append(Grade("q", "e", None, "anna"))

    assert [(grade.doc_id, grade.by, grade.grade) for grade in log.read()] == [
        ("d", "ben", 3), ("d", "anna", 2), ("e", "anna", None),
    ]  # fmt: skip
    assert len(log.history()) == 4


def test_an_undo_takes_back_the_last_line_of_that_judge_alone(log: GradeLog) -> None:
    for by, grade in (("anna", 0), ("anna", 2), ("ben", 3)):
        log.append(Grade("q", "d", grade, by))
    log.undo("q", "d", "anna")
    assert [(grade.by, grade.grade) for grade in log.read()] == [("anna", 0), ("ben", 3)]

    log.undo("q", "d", "anna")
    log.undo("q", "d", "anna")  # of nothing
    log.append(Grade("q", "d", 1, "anna"))

    assert [(grade.by, grade.grade) for grade in log.read()] == [("ben", 3), ("anna", 1)]


def test_many_grades_are_kept_together_or_not_at_all(log: GradeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(Grade("q", "d", 1, "anna"))
    before = log.path.read_bytes()

    def fail(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match=r"No space left on device.*give it again"):
        log.extend([Grade("q", "e", 1, "anna"), Grade("q", "f", 1, "anna")])

    assert log.path.read_bytes() == before


def test_a_torn_last_line_is_cut_off_wherever_it_broke(
    log: GradeLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.extend([Grade("q", "d", 1, "anna"), Grade("q", "e", 2, "änne", note="naïve")])
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first + 1, len(whole)):
        log.path.write_bytes(whole[:cut])
        opened = GradeLog(log.path)

        assert [grade.doc_id for grade in opened.read()] == ["d"]
        assert opened.repaired == 1
        assert log.path.read_bytes() == whole[:first]
    assert "cut off" in caplog.text
    assert "anna" not in caplog.text


def test_a_line_that_another_process_left_torn_is_cut_off_before_the_next(log: GradeLog) -> None:
    log.append(Grade("q", "d", 1, "anna"))
    with log.path.open("ab") as file:
        file.write(b'{"query_id": "q", "doc_')
    assert [grade.doc_id for grade in log.read()] == ["d"]

    log.append(Grade("q", "e", 2, "anna"))

    assert [grade.doc_id for grade in log.read()] == ["d", "e"]
    assert log.repaired == 1


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(log: GradeLog) -> None:
    log.append(Grade("q", "d", 1, "anna"))
    good = log.path.read_text()
    for broken, reason in (
        ("{", "is no JSON"),
        ("[]", "is no grade"),
        ('{"query_id": "q", "doc_id": "d", "grade": 4, "by": "x"}', "4 is no grade"),
        ('{"query_id": "q", "doc_id": "d", "grade": true, "by": "x"}', "True is no grade"),
        ('{"query_id": "", "doc_id": 7, "grade": 1, "by": "x"}', "needs a text as query_id and doc_id"),
        ('{"query_id": "q", "doc_id": "d", "grade": 1, "by": "x", "kind": "cat"}', "no kind of judge"),
    ):
        log.path.write_text(good + broken + "\n" + good)
        reader = GradeLog(log.path)
        for _ in range(2):  # again, it is the same
            with pytest.raises(SourceError, match=rf"grades.jsonl:2 {'is no' if 'JSON' in reason else ''}.*") as caught:
                reader.read()
            assert reason in str(caught.value)


def test_what_is_imported_keeps_its_scale() -> None:
    assert Grade("q", "d", 10, "trec", kind="imported").grade == 10


def test_what_another_process_appends_is_seen_by_the_next_read(log: GradeLog) -> None:
    other = GradeLog(log.path)
    assert log.read() == ()
    other.append(Grade("q", "d", 1, "ben"))
    assert [grade.by for grade in log.read()] == ["ben"]
    log.append(Grade("q", "d", 2, "anna"))

    assert [grade.by for grade in log.read()] == [grade.by for grade in other.read()] == ["ben", "anna"]


def test_a_folder_that_cannot_be_written_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grades.jsonl"
        GradeLog(path).append(Grade("q", "d", 1, "anna"))
        torn = path.read_bytes() + b'{"torn'
        path.write_bytes(torn)
        os.chmod(path, 0o444)
        os.chmod(folder, 0o555)
        with as_other_user():
            log = GradeLog(path)

            assert [grade.by for grade in log.read()] == ["anna"]
            assert path.read_bytes() == torn
            with pytest.raises(DiskError, match=r"Permission denied.*check the permissions"):
                log.append(Grade("q", "e", 1, "anna"))
        os.chmod(folder, 0o755)


def test_no_acknowledged_grade_is_lost_when_a_process_is_killed_in_the_middle(tmp_path: Path) -> None:
    dice = random.Random(20)
    path = tmp_path / "grades.jsonl"
    acknowledged: set[tuple[str, str]] = set()
    for kill in range(4):
        process = appending(path, f"rater{kill}", 10_000, note_chars=dice.choice([10, 300_000]))
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        for _ in range(dice.randrange(1, 12)):
            acknowledged.add((f"rater{kill}", f"d{int(process.stdout.readline())}"))
        process.kill()
        acknowledged |= {(f"rater{kill}", f"d{int(line)}") for line in process.stdout if line.endswith("\n")}
        process.wait()
    kept = [(grade.by, grade.doc_id) for grade in GradeLog(path).history()]

    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept)) <= len(acknowledged) + 4  # one of each was kept and not yet said


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "grades.jsonl"
    processes = [appending(path, by, 40, note_chars=9_000) for by in ("anna", "ben")]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    history = GradeLog(path).history()

    for by in ("anna", "ben"):
        assert [grade.doc_id for grade in history if grade.by == by] == [f"d{at}" for at in range(40)]
    assert len(history) == 80


def test_a_line_that_another_process_is_in_the_middle_of_is_left_to_it(log: GradeLog) -> None:
    log.append(Grade("q", "d", 1, "anna"))
    line = log.path.read_bytes()
    with FileLock(log.path.with_name(LOCK)), log.path.open("ab", buffering=0) as file:
        file.write(line[:20])
        other = threading.Thread(target=log.append, args=(Grade("q", "e", 2, "ben"),))
        other.start()
        other.join(0.05)  # time enough to cut the line off, if it did not wait
        file.write(line[20:])
    other.join()

    assert [grade.by for grade in log.history()] == ["anna", "anna", "ben"]
    assert log.repaired == 0


def test_an_undo_of_an_overwritten_grade_brings_back_the_one_before() -> None:
    lines = [Grade("q", "d", 1, "anna"), Grade("q", "d", 3, "anna"), Grade("q", "d", None, "anna", undoes=True)]

    assert [grade.grade for grade in standing(lines)] == [1]
