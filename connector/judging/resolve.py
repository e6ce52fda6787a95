"""Grades of several judges -> one grade for each pair, who gave it, and where people disagree.

Of a pair the grades of people count before imported ones, these before those of models, and clicks last. A settled
grade ends a disagreement. Else several of one kind give their median; of two middle ones the lower."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.errors import DiskError, SourceError
from connector.judging.folder import JudgingFolder
from connector.judging.grades import SETTLED, Grade, GradeKind, GradeLog
from connector.whole_file import write_whole

BY_TRUST: tuple[GradeKind, ...] = ("person", "imported", "model", "clicks")


@dataclass(frozen=True, slots=True)
class ResolvedGrade:
    """The grade of a pair that counts: of which kind of judge it is, and the grades it was made of."""

    query_id: str
    doc_id: str
    grade: int
    kind: GradeKind
    grades: tuple[Grade, ...]

    @property
    def by(self) -> tuple[str, ...]:
        """Who judged, sorted."""
        return tuple(sorted({grade.by for grade in self.grades}))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """People gave a pair different grades; `settled` is what they agreed on in the end, None while it is open."""

    query_id: str
    doc_id: str
    grades: tuple[Grade, ...]
    settled: int | None = None

    @property
    def spread(self) -> int:
        """How far the grades lie apart."""
        given = [grade.grade or 0 for grade in self.grades]
        return max(given) - min(given)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The grades that count, sorted by query and document, and all disagreements of people, the widest first."""

    grades: tuple[ResolvedGrade, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def qrels(self) -> dict[str, dict[str, int]]:
        """query_id -> doc_id -> grade."""
        qrels: dict[str, dict[str, int]] = {}
        for resolved in self.grades:
            qrels.setdefault(resolved.query_id, {})[resolved.doc_id] = resolved.grade
        return qrels

    @property
    def open(self) -> tuple[Disagreement, ...]:
        """The disagreements that nobody settled."""
        return tuple(disagreement for disagreement in self.disagreements if disagreement.settled is None)


def resolve(grades: Iterable[Grade], kinds: Sequence[GradeKind] = BY_TRUST) -> Resolved:
    """One grade for each pair that a judge of these kinds has graded. `grades` are the standing ones; what was skipped
    has no say."""
    by_pair: dict[tuple[str, str], list[Grade]] = defaultdict(list)
    for grade in grades:
        if grade.grade is not None and grade.kind in kinds:
            by_pair[grade.query_id, grade.doc_id].append(grade)
    resolved = tuple(_resolve_pair(*pair, by_pair[pair]) for pair in sorted(by_pair))
    found = (_disagreement(*pair, by_pair[pair]) for pair in sorted(by_pair))
    disagreements = [disagreement for disagreement in found if disagreement]
    return Resolved(resolved, tuple(sorted(disagreements, key=lambda disagreement: -disagreement.spread)))


def write_judgments(folder: JudgingFolder, log: GradeLog) -> Resolved:
    """The judgments of all grades so far, where `connector eval` reads them; of several processes at once none puts
    older ones in the place of newer. Raises as `write_qrels` does."""
    with folder.alone():
        resolved = resolve(log.read())
        if resolved.grades:
            write_qrels(folder.qrels_file, resolved.qrels)
    return resolved


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """A file of judgments as BEIR has it, whole or not at all: a reader never sees half of one.

    Raises SourceError for an id that such a file cannot hold, DiskError."""
    for name in (*qrels, *(doc_id for documents in qrels.values() for doc_id in documents)):
        if re.search(r"[\t\r\n\0]", name):
            raise SourceError(
                f"the id {name!r} cannot stand in {path.name}: it has a tab or a line end; give it another id, and "
                "make the pool anew"
            )
    rows = (
        f"{_cell(query_id)}\t{_cell(doc_id)}\t{grade}\n"
        for query_id, documents in sorted(qrels.items())
        for doc_id, grade in sorted(documents.items())
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, ("query-id\tcorpus-id\tscore\n", *rows))
    except OSError as error:
        raise DiskError(
            f"cannot write {path} ({error.strerror or error}); the grades are kept: make room or check the "
            "permissions, and run it again"
        ) from error


def _cell(name: str) -> str:
    """In quotes where blanks around it, or a quote, would be lost."""
    return '"' + name.replace('"', '""') + '"' if name != name.strip() or name[0] in '"\ufeff' else name


def _resolve_pair(query_id: str, doc_id: str, grades: Sequence[Grade]) -> ResolvedGrade:
    kind = min((grade.kind for grade in grades), key=BY_TRUST.index)
    trusted = tuple(grade for grade in grades if grade.kind == kind)
    settled = _settled(trusted)
    return ResolvedGrade(query_id, doc_id, lower_median(trusted) if settled is None else settled, kind, trusted)


def lower_median(grades: Sequence[Grade]) -> int:
    """The middle one of the grades; of two middle ones the lower."""
    given = sorted(grade.grade for grade in grades if grade.grade is not None)
    return given[(len(given) - 1) // 2]


def _settled(grades: Iterable[Grade]) -> int | None:
    return next((grade.grade for grade in grades if grade.kind == "person" and grade.by == SETTLED), None)


def _disagreement(query_id: str, doc_id: str, grades: Sequence[Grade]) -> Disagreement | None:
    people = tuple(grade for grade in grades if grade.kind == "person" and grade.by != SETTLED)
    if len({grade.grade for grade in people}) < 2:
        return None
    return Disagreement(query_id, doc_id, people, _settled(grades))
