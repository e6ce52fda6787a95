"""A log -> its entries, one after the other: what each says, and where it stands. Only one is in memory at a time."""

from __future__ import annotations

import codecs
import contextlib
import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from connector.errors import SourceError
from connector.ingest.sources.delimited import read_csv, read_tsv
from connector.ingest.sources.jsonl import read_json
from connector.ingest.sources.lines import LineSource, ReadRows
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import (
    HOW_TO_CONVERT,
    READ_ERRORS,
    FileInput,
    Input,
    StreamInput,
    as_utf8,
    is_special,
)
from connector.judging.defaults import PARAMETER
from connector.judging.logs.access import parse_access_line
from connector.judging.logs.formats import COUNTED, LogKind, recognise
from connector.judging.logs.outcome import Outcome, SearchedFor, Unreadable
from connector.judging.logs.rows import Columns, find_text_name, parse_row
from connector.judging.logs.slow import parse_slow_line
from connector.signatures import HEAD_BYTES, why_no_text

STANDARD_INPUT = "-"
HEAD = 64 * 1024  # bytes by which a format is recognised
HEAD_LINES = 20
MAX_LINE_BYTES = 1024 * 1024
LINE = "line"
HOW_FROM_UTF_16 = "iconv -f UTF-16LE -t UTF-8 OLD > NEW"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How logs are to be read: None recognises the format of each."""

    kind: LogKind | None = None
    parameters: tuple[str, ...] = (PARAMETER,)
    columns: Columns = field(default_factory=Columns)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says, where it stands (`access.log:17`) and, where it cannot be read, what stands there."""

    outcome: Outcome
    origin: str
    raw: str = ""


class QueryLog:
    """The entries of a file, of a named pipe or of standard input (`-`), each also packed. `progress` is the share read
    so far, from 0 to 1.

    Raises SourceError: when made for what is not there or of no known format, while read where it breaks off."""

    def __init__(self, location: str, options: LogOptions) -> None:
        opened = _open(location)
        self._options = options
        self._lines = _head(opened)
        self.name = opened.name
        self.kind = options.kind or (recognise(self._lines, self.name, options.columns) if self._lines else "lines")
        self._source = LineSource(opened, self._reader())

    @property
    def progress(self) -> float:
        return self._source.progress

    def __iter__(self) -> Iterator[Entry]:
        for row in self._source:
            if row.error is not None:
                yield Entry(Unreadable(row.error), row.origin, row.raw or "")
                continue
            if self.kind == "csv":
                self._check_columns(row.values)
            for outcome in self._outcomes(row):
                yield Entry(outcome, row.origin, _raw(row.values))

    def _reader(self) -> ReadRows:
        if self.kind == "json":
            return read_json
        if self.kind != "csv":
            return _read_lines
        header = next(csv.reader(self._lines[:1]), [""])
        if not any(delimiter in header[0] for delimiter in "\t;|") and len(header) == 1:
            return _read_column
        return read_tsv if "\t" in header[0] else read_csv

    def _outcomes(self, row: Row) -> Iterator[Outcome]:
        match self.kind:
            case "csv" | "json":
                return parse_row(row.values, self._options.columns)
            case "access":
                return iter((parse_access_line(row.values[LINE], self._options.parameters),))
            case "slowlog":
                return iter((parse_slow_line(row.values[LINE]),))
            case "counted":
                return iter((_parse_counted(row.values[LINE]),))
        return iter((SearchedFor(row.values[LINE]),))

    def _check_columns(self, values: Mapping[str, object]) -> None:
        """Raises SourceError where no column can be the query."""
        wanted = self._options.columns
        for name in filter(None, (wanted.text, wanted.count)):
            if name not in values:
                raise SourceError(f"{self.name} has no column {name!r}; it has {', '.join(values)}")
        if not wanted.text and not find_text_name(list(values)):
            raise SourceError(
                f"{self.name}: none of its columns is known to hold a query ({', '.join(values)}); name it with "
                "--column, or read whole lines with --format lines"
            )


def _open(location: str) -> Input:
    if location == STANDARD_INPUT:
        return StreamInput(None)
    path = Path(location).expanduser()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceError(f"cannot read {location} ({os.strerror(error.errno or 0)}); check the path") from None
    if stat.S_ISFIFO(mode):
        return StreamInput(path)
    if stat.S_ISDIR(mode):
        raise SourceError(f"{location} is a folder; name the logs in it, such as {location}/*.log*")
    if special := is_special(mode):
        raise SourceError(f"{location} is no regular file but {special}")
    return FileInput(path)


def _head(opened: Input) -> list[str]:
    """The first lines that hold anything. Raises SourceError for what is no text."""
    data = b""
    with contextlib.suppress(*READ_ERRORS), opened.open() as stream:  # what breaks off is said where it is read
        text = as_utf8(stream, is_json=True)
        while len(data) < HEAD and (piece := text.read1(HEAD)):  # type: ignore[attr-defined]
            data += piece
    if reason := why_no_text(data[:HEAD_BYTES]):
        raise SourceError(f"{opened.name} holds {reason}; a log is text, plain or packed by gzip, bzip2 or xz")
    whole = data if len(data) < HEAD else data[: data.rfind(b"\n") + 1] or data
    lines = whole.decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][:HEAD_LINES]


def _read_lines(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """A row for each line that holds anything."""
    text = as_utf8(stream)
    number = 0
    while line := text.readline(MAX_LINE_BYTES):
        number += 1
        origin = f"{name}:{number}"
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := text.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Row(
                {}, origin, f"the line is longer than {MAX_LINE_BYTES >> 20} MiB", line[:80].decode("utf-8", "replace")
            )
            continue
        try:
            content = line.removeprefix(codecs.BOM_UTF8).decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raw = line.decode("utf-8", "backslashreplace").strip()
            yield Row({}, origin, f"the line is not UTF-8 (byte {error.start}); {HOW_TO_CONVERT}", raw)
            continue
        if "\0" in content:
            yield Row({}, origin, f"the line has a NUL character; where all of them have: {HOW_FROM_UTF_16}", content)
        elif content.strip():
            yield Row({LINE: content}, origin)


def _read_column(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """The rows of a table with one column, which the first line names."""
    column = ""
    for row in _read_lines(stream, name, notes):
        if row.error is not None:
            yield row
            continue
        cells = next(csv.reader([row.values[LINE]]), [])
        cell = cells[0] if len(cells) == 1 else row.values[LINE]
        if column:
            yield Row({column: cell}, row.origin)
        column = column or cell.strip()


def _raw(values: Mapping[str, object]) -> str:
    """A row as it stood, or nearly so."""
    return str(values[LINE]) if LINE in values else ", ".join(f"{name}: {value}" for name, value in values.items())


def _parse_counted(line: str) -> Outcome:
    found = COUNTED.match(line)
    return SearchedFor(found["text"], int(found["times"])) if found else Unreadable("it has no count before the query")
