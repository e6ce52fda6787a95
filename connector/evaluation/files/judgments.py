"""Files of judgments -> grades by query and document, with the columns of BEIR (three) or of TREC (four)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.errors import SourceError
from connector.evaluation.files.text_file import numbered_lines

Qrels = Mapping[str, Mapping[str, int]]

MAX_GRADE = 10_000  # trec_eval makes room for every grade up to the highest
GRADE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
ITERATION = re.compile(r"[Qq]?[0-9]+")  # TREC's second column: 0, Q0, or the number of a subtopic
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
QUERY, DOCUMENT, GRADED, UNUSED = "query", "document", "grade", "unused"
COLUMNS: Mapping[int, tuple[str, ...]] = {3: (QUERY, DOCUMENT, GRADED), 4: (QUERY, UNUSED, DOCUMENT, GRADED)}
# names of columns, without what is neither letter nor digit
NAMES: Mapping[str, frozenset[str]] = {
    QUERY: frozenset(["q", "query", "queryid", "qid", "topic", "topicid", "topicno", "question", "questionid"]),
    DOCUMENT: frozenset(
        [
            "d",
            "corpus",
            "corpusid",
            "doc",
            "docid",
            "docno",
            "did",
            "document",
            "documentid",
            "pid",
            "passage",
            "passageid",
            "product",
            "productid",
        ]
    ),
    GRADED: frozenset(
        [
            "score",
            "rel",
            "relevance",
            "relevancy",
            "relevant",
            "grade",
            "label",
            "judgment",
            "judgement",
            "rating",
            "gain",
            "qrel",
            "value",
        ]
    ),
    UNUSED: frozenset(["iter", "iteration", "q0", "unused", "zero", "subtopic"]),
}


@dataclass(frozen=True, slots=True)
class Judgments:
    """Grades by query and document; how many rows said again what a row before them had said."""

    qrels: Qrels
    repeated: int = 0


def read_judgments(path: Path) -> Judgments:
    """The judgments of a file: columns by tabs or by blanks, with a header or without one.

    Raises SourceError, with the line, for a row that is no judgment, and for two grades of one document."""
    columns: tuple[str, ...] | None = None  # as a header names them
    header: list[str] = []
    seen: dict[tuple[str, str], tuple[int, int]] = {}  # (query, document) -> (grade, line)
    repeated = 0
    for number, line in numbered_lines(path):
        cells = _cells(line)
        if not header and not seen and (columns := _header(cells)):
            header = cells
        elif cells != header:
            query_id, doc_id, grade = _judgment(cells, columns, f"{path}:{number}")
            before, where = seen.setdefault((query_id, doc_id), (grade, number))
            if before != grade:
                raise SourceError(
                    f"{path}:{number} gives {doc_id!r} the grade {grade} for query {query_id!r}, but line {where} "
                    f"gives it {before}; keep one of the two"
                )
            repeated += where != number
    qrels: dict[str, dict[str, int]] = {}
    for (query_id, doc_id), (grade, _) in seen.items():
        qrels.setdefault(query_id, {})[doc_id] = grade
    if not qrels:
        raise SourceError(f"{path} has no judgments")
    return Judgments(qrels, repeated)


def _cells(line: str) -> list[str]:
    """The columns, by tabs where there are any; without the quotes that tables are written with."""
    if "\t" not in line:
        return line.split()
    cells = (cell.strip() for cell in line.split("\t"))
    return [found[1].replace('""', '"') if (found := QUOTED.fullmatch(cell)) else cell for cell in cells]


def _header(cells: Sequence[str]) -> tuple[str, ...] | None:
    """What each column holds, where all cells are names of columns; None where they are not: a row whose grade is a
    word must not pass for a header."""
    names = [re.sub(r"[\W_]", "", cell.lower()) for cell in cells]
    found = tuple(next((column for column, known in NAMES.items() if name in known), "") for name in names)
    return found if sorted(found) == sorted(COLUMNS.get(len(cells), ())) else None


def _judgment(cells: Sequence[str], columns: tuple[str, ...] | None, where: str) -> tuple[str, str, int]:
    """Query, document, grade. Raises SourceError."""
    columns = columns or COLUMNS.get(len(cells), ())
    if len(cells) != len(columns):
        raise SourceError(
            f"{where} is no judgment: it has {len(cells)} columns; it needs query-id, corpus-id and a whole number, by "
            "tabs, or TREC's four: query, 0, document, grade"
        )
    row = dict(zip(columns, cells, strict=True))
    if not ITERATION.fullmatch(row.get(UNUSED, "0")):
        raise SourceError(
            f"{where} is no judgment: of four columns the second is TREC's 0, not {row[UNUSED]!r}; ids that hold "
            "blanks need tabs between the columns"
        )
    if not row[QUERY] or not row[DOCUMENT]:
        raise SourceError(f"{where} is no judgment: its {'query' if not row[QUERY] else 'document'} has no id")
    if not GRADE.fullmatch(row[GRADED]):
        raise SourceError(
            f"{where} is no judgment: its grade is {row[GRADED]!r} and must be a whole number; a header is "
            "query-id, corpus-id, score"
        )
    grade = int(row[GRADED].partition(".")[0])
    if abs(grade) > MAX_GRADE:
        raise SourceError(f"{where} is no judgment: its grade is {grade}; at most {MAX_GRADE:,} can be measured with")
    return row[QUERY], row[DOCUMENT], grade
