"""Judgments of other programs, and clicks -> grades of a judging folder. What finds no place there is counted."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.errors import DiskError, SourceError
from connector.evaluation.files.judgments import MAX_GRADE
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.files.text_file import numbered_lines
from connector.judging.folder import JudgingFolder
from connector.judging.formats.bodies import keep_bodies
from connector.judging.formats.judged import Judged, JudgedFile
from connector.judging.formats.texts import fold
from connector.judging.grades import GRADES, Grade, GradeKind
from connector.judging.queries.fold import LoggedQuery
from connector.whole_file import write_whole

SHOWN = 5  # queries in a note


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's judgments: grades that are new, and those that were there already; judgments of queries
    that are not in the folder; pairs that are not in its pool (their grades are kept); queries that were added."""

    new: int
    known: int
    unplaced: int
    outside_pool: int
    added_queries: int
    notes: tuple[str, ...]


def import_judged(
    folder: JudgingFolder,
    file: JudgedFile,
    *,
    by: str,
    kind: GradeKind = "imported",
    cuts: Sequence[float] = (),
    add_queries: bool = False,
) -> ImportReport:
    """Every judgment as a grade, by who the file says, else by `by`. A value stays the grade it is, or with `cuts`
    becomes the number of cuts that it reaches.

    A folder without queries takes those of the file; another one does where it is told to. Raises SourceError for a
    value that is no grade, DiskError."""
    has_queries = folder.queries_file.is_file()
    queries = _FolderQueries(folder.queries() if has_queries else ())
    placed: list[tuple[str, Judged]] = []
    unplaced: dict[str, int] = {}
    for judged in file.judged:
        query_id = queries.find(judged)
        if not query_id and judged.text and (add_queries or not has_queries):
            query_id = queries.add(judged)
        if query_id:
            placed.append((query_id, judged))
        else:
            named = judged.text or judged.query_id
            unplaced[named] = unplaced.get(named, 0) + 1
    grades = [
        Grade(
            query_id,
            judged.doc_id,
            read_grade(judged, cuts),
            judged.by or by,
            kind,
            {**judged.about, **_cut_note(cuts)},
        )
        for query_id, judged in placed
    ]
    _check_agree(grades)
    queries.write(folder)
    names = {judged.query_id: query_id for query_id, judged in placed}
    keep_bodies(folder.path, {names[name]: body for name, body in file.bodies.items() if name in names})
    known = {_judgment(grade) for grade in folder.grades().read()}
    new = [grade for grade in grades if _judgment(grade) not in known]
    if new:
        folder.grades().extend(new)
    pool = {pair.key for pair in folder.pairs()} if folder.pool_file.is_file() else None
    outside = 0 if pool is None else len({grade.key[:2] for grade in grades} - pool)
    return ImportReport(
        len(new),
        len(grades) - len(new),
        sum(unplaced.values()),
        outside,
        len(queries.added),
        (*file.notes, *_unplaced_note(unplaced, has_queries), *_scale_note(grades)),
    )


def read_grade(judged: Judged, cuts: Sequence[float]) -> int:
    """Raises SourceError for a value that is no number that can be measured with, and where there are no cuts for one
    that is not whole."""
    if not abs(judged.value) <= MAX_GRADE:
        raise SourceError(
            f"{judged.where}: {judged.value!r} of {judged.doc_id!r} is no grade; a value is a number, and at most "
            f"{MAX_GRADE:,}"
        )
    if cuts:
        return bisect_right(cuts, judged.value)
    if not float(judged.value).is_integer():
        raise SourceError(
            f"{judged.where}: {judged.value!r} of {judged.doc_id!r} is no whole grade; say what makes a 1, a 2 and a 3 "
            "with --cuts 0.1,0.3,0.6"
        )
    return int(judged.value)


class _FolderQueries:
    """Those of a folder, found by id or by text, and those that are added to it."""

    def __init__(self, queries: Sequence[JudgedQuery]) -> None:
        self._ids = {query.query_id for query in queries}
        self._by_text: dict[str, str] = {}
        for query in queries:
            self._by_text.setdefault(fold(query.text), query.query_id)
        self.added: dict[str, str] = {}

    def find(self, judged: Judged) -> str:
        """Its id here; empty where there is none."""
        if judged.query_id in self._ids:
            return judged.query_id
        return self._by_text.get(fold(judged.text), "") if judged.text else ""

    def add(self, judged: Judged) -> str:
        """With the id of the file, or one that its text gives."""
        text = " ".join(judged.text.split())
        query_id = judged.query_id or LoggedQuery(fold(text), text, 1).query_id
        self._ids.add(query_id)
        self._by_text[fold(text)] = query_id
        self.added[query_id] = text
        return query_id

    def write(self, folder: JudgingFolder) -> None:
        """Put what was added behind the queries that are there, all or none. Raises DiskError."""
        if not self.added:
            return
        file = folder.queries_file
        kept = [line for _, line in numbered_lines(file)] if file.is_file() else []
        added = [json.dumps({"_id": key, "text": text}, ensure_ascii=False) for key, text in self.added.items()]
        try:
            write_whole(file, (line + "\n" for line in [*kept, *added]))
        except OSError as error:
            raise DiskError(f"cannot write {file} ({error.strerror}); nothing was imported") from None


def _check_agree(grades: Sequence[Grade]) -> None:
    """Raises SourceError where a judge gives a pair two grades."""
    by_key: dict[tuple[str, str, str], int | None] = {}
    for grade in grades:
        if by_key.setdefault(grade.key, grade.grade) != grade.grade:
            raise SourceError(
                f"{grade.by} gives {grade.doc_id!r} the grades {by_key[grade.key]} and {grade.grade} for query "
                f"{grade.query_id!r}; keep one of the two"
            )


def _judgment(grade: Grade) -> tuple[str, str, str, int | None]:
    return (*grade.key, grade.grade)


def _cut_note(cuts: Sequence[float]) -> Mapping[str, list[float]]:
    return {"cuts": [*cuts]} if cuts else {}


def _scale_note(grades: Sequence[Grade]) -> tuple[str, ...]:
    other = sum(grade.grade not in GRADES for grade in grades)
    if not other:
        return ()
    return (
        f"{other} grades are not from 0 to 3, which those of the page and of models are, and weigh more or less beside "
        "them; --cuts says what makes a 1, a 2 and a 3",
    )


def _unplaced_note(unplaced: Mapping[str, int], has_queries: bool) -> tuple[str, ...]:
    if not unplaced:
        return ()
    some = ", ".join(map(repr, [*unplaced][:SHOWN])) + (", …" if len(unplaced) > SHOWN else "")
    what_to_do = "--add-queries adds those whose text is known" if has_queries else "--queries FILE gives their texts"
    return (
        f"{sum(unplaced.values())} judgments are of {len(unplaced)} queries that are not in the folder, and are left "
        f"out: {some}; {what_to_do}",
    )
