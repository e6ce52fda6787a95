"""CSV and TSV: a header, then one record a line, or over several where a cell is quoted."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from connector.errors import SourceError
from connector.ingest.sources.names import tell_apart
from connector.ingest.sources.put_back import NumberedLines
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import HOW_TO_CONVERT, READ_ERRORS, as_utf8

MAX_CELL_CHARS = 64 * 1024 * 1024
OTHER_DELIMITERS = ";\t|,"
ROWS_AMONG_SWALLOWED = 0.8  # from this share on, the lines behind an open quote are taken for rows, not for its text


@dataclass(frozen=True, slots=True)
class _Record:
    """The cells of a record (None where it is no CSV, with the fault) and the lines that it was read from."""

    cells: list[str] | None
    lines: list[str]
    first: int
    fault: str = ""


def read_csv(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """The rows of a file with commas between its cells, or with what its header has there."""
    return _read(stream, name, notes, delimiter=",")


def read_tsv(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """The rows of a file with tabs between its cells."""
    return _read(stream, name, notes, delimiter="\t")


def _read(stream: IO[bytes], name: str, notes: Counter[str], *, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_CELL_CHARS)
    lines = _TextLines(as_utf8(stream))
    try:
        header, delimiter = _read_header(lines, name, notes, delimiter)
        columns = tell_apart(header, notes)
        while record := _next_record(lines, delimiter):
            if record.cells is not None and [cell.strip() for cell in record.cells] == header:
                notes["lines that repeat the header are passed over"] += 1
                continue
            yield from _rows(record, lines, columns, name, delimiter)
        if lines.broken:
            raise lines.broken
    finally:
        lines.close()


class _TextLines(NumberedLines[str]):
    """The lines of a text, numbered, that can be put back. At a break of the stream they end, and `broken` says why."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
        self.broken: Exception | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._returned:
            line = self._returned.popleft()
        else:
            try:
                # files that were joined have a byte-order mark in the middle
                line = "" if self.broken else next(self._text, "").lstrip("\ufeff")
            except (*READ_ERRORS, UnicodeError) as error:
                self.broken, line = error, ""
        if not line:
            raise StopIteration
        self.number += 1
        return line

    def close(self) -> None:
        self._text.detach()


def _next_record(lines: _TextLines, delimiter: str) -> _Record | None:
    """The next record that is not blank; None at the end."""
    taken: list[str] = []

    def taking() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    while True:
        first = lines.number + 1
        taken.clear()
        try:
            cells = next(csv.reader(taking(), delimiter=delimiter, strict=True), None)
        except csv.Error as error:
            return _Record(None, list(taken), first, str(error))
        if cells is None:
            return None
        if cells:
            return _Record(cells, list(taken), first)


def _read_header(lines: _TextLines, name: str, notes: Counter[str], delimiter: str) -> tuple[list[str], str]:
    """The names of the columns as they stand there, and what stands between cells."""
    if declared := re.match(r"sep=(.)\s*$", first := next(lines, "")):  # as Excel writes it
        delimiter = declared[1]
    elif first:
        lines.put_back([first])
    if re.match(r"\s*(\{\s*\"|\[\s*\{)", first):
        raise SourceError(f"{name} holds JSON, whatever its name says; call it .jsonl")
    record = _next_record(lines, delimiter)
    if record is None:
        if lines.broken:
            raise lines.broken
        raise SourceError(f"{name} is empty; its first line must name the columns")
    if record.cells is None or len(record.cells) == 1:
        for other in OTHER_DELIMITERS.replace(delimiter, ""):
            cells = _cells(record.lines[0], other)
            if cells and len(cells) > 1:
                notes[f"the columns are split by {other!r}, not by {delimiter!r}"] += 1
                lines.put_back(record.lines[1:])
                record, delimiter = _Record(cells, record.lines[:1], record.first), other
                break
    if record.cells is None or len(record.cells) < 2:
        problem = f"is no CSV ({record.fault})" if record.cells is None else "has 1 column"
        raise SourceError(f"{name} {problem}; its first line must name the columns, split by {delimiter!r}")
    if "\0" in "".join(record.lines):
        raise SourceError(
            f"{name} holds null bytes in its first line; if it is UTF-16, convert it: "
            "iconv -f UTF-16LE -t UTF-8 OLD > NEW"
        )
    if _is_not_utf8(record.lines):
        raise SourceError(f"line {record.first} of {name}, the header, is not UTF-8; {HOW_TO_CONVERT}")
    return [cell.strip() for cell in record.cells], delimiter


def _rows(record: _Record, lines: _TextLines, columns: list[str], name: str, delimiter: str) -> Iterator[Row]:
    """The row in a record; where there is none, the error, after which the lines that it swallowed are read again."""
    origin = f"{name}:{lines.number}"
    if record.cells is not None and len(record.cells) == len(columns):
        if _is_not_utf8(record.lines):
            yield Row({}, origin, f"the line is not UTF-8; {HOW_TO_CONVERT}", _shown(record.lines))
        else:
            yield Row({column: cell for column, cell in zip(columns, record.cells, strict=True) if cell}, origin)
        return
    swallowed = record.lines[1:]
    at_end = record.fault == "unexpected end of data"
    if at_end and lines.broken:
        return  # the break of the stream is the fault, and what it cut is no row
    if len(swallowed) > 1 or at_end:
        reason = "a quote that opens here is not closed"
    elif record.cells is None:
        reason = f"the line is not CSV: {record.fault}"
    else:
        reason = f"the line has {len(record.cells)} cells, the header has {len(columns)}"
    if swallowed and _are_rows(swallowed, len(columns), delimiter):
        lines.put_back(swallowed)
        yield Row({}, f"{name}:{record.first}", "a quote that opens here is not closed", _shown(record.lines[:1]))
    else:
        if swallowed:
            reason += f"; it runs on to line {lines.number}"
        yield Row({}, f"{name}:{record.first}", reason, _shown(record.lines))


def _are_rows(lines: list[str], width: int, delimiter: str) -> bool:
    """Whether most of these lines are records of their own, so that they are no text of a cell.

    The last one may hold the next quote that is wrong; it counts only where there is no other."""
    judged = lines[:-1] or lines
    good = 0
    for line in judged:
        cells = _cells(line, delimiter)
        good += cells is not None and len(cells) == width
    return good >= ROWS_AMONG_SWALLOWED * len(judged)


def _cells(line: str, delimiter: str) -> list[str] | None:
    """The cells of a line that is a record of its own; None where it is not."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _is_not_utf8(lines: list[str]) -> bool:
    return any("\udc80" <= character <= "\udcff" for line in lines if not line.isascii() for character in line)


def _shown(lines: list[str]) -> str:
    """The lines as they were, with what is not UTF-8 as backslash and digits."""
    return "".join(lines).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
