"""Quepid's CSV, which Chorus has too: a case (query, docid, rating), or a book (query, docid, a column for each
rater)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from connector.errors import SourceError
from connector.evaluation.files.text_file import read_text
from connector.judging.formats.judged import Judged, JudgedFile, JudgmentsToWrite, Written
from connector.judging.formats.texts import by_text

CASE = ("query", "docid", "rating")
FORMULA = ("-", "=", "+", "@")  # Quepid puts a blank before these, so that no spreadsheet takes the text for a formula


def is_quepid(head: str) -> bool:
    """Whether a file that begins like this is one."""
    first = next(csv.reader(io.StringIO(head.lstrip("\ufeff"))), [])
    return len(first) >= len(CASE) and tuple(_name(cell) for cell in first[:2]) == CASE[:2]


def read_quepid(path: Path) -> JudgedFile:
    """Raises SourceError, with the line."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(rows, [])
        if len(header) < len(CASE) or tuple(_name(cell) for cell in header[:2]) != CASE[:2]:
            raise SourceError(f"{path}:1 is no file of Quepid's: its first columns are query and docid, then ratings")
        raters = [""] if _name(header[2]) == CASE[2] else [cell.strip() for cell in header[2:]]
        unrated = 0
        judged: list[Judged] = []
        for row in rows:
            found = [*_judged(row, raters, f"{path}:{rows.line_num}")]
            unrated += bool(row) and not found
            judged += found
    except csv.Error as error:
        raise SourceError(f"{path}:{rows.line_num} is no CSV ({error}); export it anew") from None
    return JudgedFile(tuple(judged), notes=(f"{unrated} rows have no rating",) if unrated else ())


def write_quepid(judgments: JudgmentsToWrite) -> Written:
    """A case's ratings, as Quepid imports them. What cannot be written by the text of its query is left out."""
    grouped, notes = by_text(judgments)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CASE)
    for text, grades in grouped.items():
        for doc_id, grade in grades.items():
            writer.writerow([f" {text}" if text.startswith(FORMULA) else text, doc_id, grade])
    return Written(stream.getvalue(), notes)


def _judged(row: Sequence[str], raters: Sequence[str], where: str) -> Iterator[Judged]:
    """The ratings of a row; none where nobody rated."""
    if not any(cell.strip() for cell in row[2:]):
        return
    if len(row) > 2 + len(raters):
        raise SourceError(f"{where} has {len(row)} columns, more than the first line")
    text, doc_id = row[0].strip(), row[1]
    if not text or not doc_id:
        raise SourceError(f"{where} has a rating without a {'document' if text else 'query'}")
    for by, cell in zip(raters, row[2:], strict=False):
        if cell.strip():
            try:
                value = float(cell)
            except ValueError:
                raise SourceError(f"{where} has the rating {cell!r}, which is no number") from None
            yield Judged(doc_id, value, text=text, by=by, where=where)


def _name(cell: str) -> str:
    return "".join(filter(str.isalnum, cell.lower()))
