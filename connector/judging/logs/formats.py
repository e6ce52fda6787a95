"""Which format a log is in, by its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal, get_args

from connector.errors import SourceError
from connector.judging.logs.access import is_access_line
from connector.judging.logs.rows import Columns, find_text_name
from connector.judging.logs.slow import is_slow_line

LogKind = Literal["lines", "counted", "csv", "json", "access", "slowlog"]
KINDS: tuple[LogKind, ...] = get_args(LogKind)
COUNTED = re.compile(r"^\s*(?P<times>\d+)\s(?P<text>.*\S)")  # as `uniq -c` writes it
DELIMITERS = ",\t;|"
TABLES = (".csv", ".tsv")


def recognise(lines: Sequence[str], name: str, columns: Columns) -> LogKind:
    """The format of a log that begins with these lines, none of them blank. Raises SourceError where they look like a
    table whose columns nobody named."""
    if any(map(is_slow_line, lines)):
        return "slowlog"
    if sum(map(is_access_line, lines)) * 2 > len(lines):
        return "access"
    if re.match(r"\s*(\{\s*(\"|$)|\[\s*(\{|$))", lines[0]):
        return "json"
    if all(line[0] in " \t" and COUNTED.match(line) for line in lines):
        return "counted"
    suffixes = {suffix.lower() for suffix in PurePath(name).suffixes}
    if suffixes & set(TABLES) or _has_header(lines[0], columns):
        return "csv"
    if len(lines) > 1 and (width := lines[0].count("\t")) and all(line.count("\t") == width for line in lines):
        raise SourceError(
            f"{name} looks like a table without names of its columns; give it a first line such as query and count, "
            "or read whole lines with --format lines"
        )
    return "lines"


def _has_header(line: str, columns: Columns) -> bool:
    """Whether a line names columns, one of which holds the query."""
    for delimiter in DELIMITERS:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if len(cells) > 1 and (find_text_name(cells) or columns.text in cells):
            return True
    return columns.text is not None and columns.text == line.strip()
