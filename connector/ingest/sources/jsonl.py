"""JSON: one object a line, or objects over several lines, one after the other or in an array."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO

from connector.errors import SourceError
from connector.ingest.sources.json_text import parse_json
from connector.ingest.sources.put_back import NumberedLines
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import CHUNK_BYTES, HOW_TO_CONVERT, as_utf8, with_prefix

MAX_VALUE_BYTES = 64 * 1024 * 1024
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*(?:[{\]]|\Z)")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_LINE_END = re.compile(r"\A[ \t,]*\r?\n")
_BETWEEN = re.compile(r"[\s,]*")
_LENIENT = json.JSONDecoder(parse_int=lambda digits: None, parse_float=lambda digits: None)  # finds where a value ends


def read_json(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """The rows of JSON Lines, of objects over several lines, or of an array of objects."""
    lines = _ByteLines(as_utf8(stream, is_json=True))
    is_first = True
    while line := lines.next():
        if not line.strip():
            continue
        if is_first and _ARRAY_OF_OBJECTS.match(line):
            yield from _read_values(with_prefix(line + lines.returned(), lines.stream), name, lines.number)
            return
        is_first = False
        yield from _rows_of_line(line, lines, name)


class _ByteLines(NumberedLines[bytes]):
    """The lines of a stream, numbered, each of at most MAX_VALUE_BYTES, that can be put back."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self.stream = stream

    def next(self) -> bytes:
        """The next line; b"" at the end."""
        line = self._returned.popleft() if self._returned else self.stream.readline(MAX_VALUE_BYTES)
        while line.startswith(codecs.BOM_UTF8):  # files that were joined have one in the middle
            line = line.removeprefix(codecs.BOM_UTF8) or self.stream.readline(MAX_VALUE_BYTES)
        self.number += bool(line)
        return line

    def returned(self) -> bytes:
        """All that was put back, taken again."""
        together = b"".join(self._returned)
        self._returned.clear()
        return together

    def skip_rest(self) -> None:
        """Pass over what is left of a line that was cut for its length."""
        while (rest := self.stream.readline(MAX_VALUE_BYTES)) and not rest.endswith(b"\n"):
            pass


def _rows_of_line(line: bytes, lines: _ByteLines, name: str) -> Iterator[Row]:
    """The row of a line; or of the value that begins on it and runs over the next ones."""
    origin = f"{name}:{lines.number}"
    if len(line) >= MAX_VALUE_BYTES and not line.endswith(b"\n"):
        lines.skip_rest()
        yield Row({}, origin, f"the line is longer than {MAX_VALUE_BYTES >> 20} MiB", _shown(line[:1000]) + "…")
        return
    row = _row(line, origin, "line")
    if row.error and line.lstrip().startswith(b"{") and _is_beginning(line.decode("utf-8", "replace").strip()):
        value = _read_on(line, lines)
        if value is not None:
            row = _row(value, origin, "value")
    yield row


def _read_on(first: bytes, lines: _ByteLines) -> bytes | None:
    """The value that begins on a line; what follows it is put back. None where the lines behind make no value of it."""
    read, tried, size = [first], len(first), len(first)
    while size < MAX_VALUE_BYTES:
        more = lines.next()
        read.append(more)
        size += len(more)
        may_end = more.startswith(b"}") and size < CHUNK_BYTES
        if more and size < 2 * tried and not may_end:
            continue  # each try costs as much as all lines before it
        tried = size
        text = b"".join(read).decode("utf-8", "surrogateescape").lstrip()
        if (end := _end_of_value(text, 0)) is not None:
            rest = _LINE_END.sub("", text[end:]).encode("utf-8", "surrogateescape")
            lines.put_back(_LINE.findall(rest))
            return text[:end].encode("utf-8", "surrogateescape")
        if not more or not _is_beginning(text.rstrip()):
            break
    lines.put_back([line for line in read[1:] if line])
    return None


def _read_values(stream: IO[bytes], name: str, line: int) -> Iterator[Row]:
    """The values of an array, which begins on that line and runs over any number of lines."""
    text, at, ended, in_array = "", 0, False, False
    decoder = _Decoder(stream, name)
    while True:
        between = _BETWEEN.match(text, at)
        line += text.count("\n", at, between.end()) if between else 0
        at = between.end() if between else at
        if at < len(text) and text[at] in "[]":
            in_array, at = text[at] == "[", at + 1
            continue
        end = None if at == len(text) else _end_of_value(text, at)
        if end is not None and (end < len(text) or ended):
            yield _row(text[at:end].encode("utf-8", "surrogatepass"), f"{name}:{line}", "value")
            line += text.count("\n", at, end)
            text, at = (text[end:], 0) if end > CHUNK_BYTES else (text, end)
        elif not ended and len(text) - at < MAX_VALUE_BYTES:
            more = decoder.read(max(CHUNK_BYTES, len(text) - at))
            text, at, ended = text[at:] + more, 0, not more
        elif at < len(text) or in_array:
            fault = _fault(text, at) if at < len(text) else "the array has no end"
            raise SourceError(f"{name} is not JSON from line {line} on: {fault}; correct it there")
        else:
            return


class _Decoder:
    """Text of a stream in UTF-8."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = b""

    def read(self, size: int) -> str:
        """About `size` characters; none at the end. Raises SourceError where it is not UTF-8."""
        while data := self._stream.read1(size):  # type: ignore[attr-defined]
            data = self._left + data
            try:
                text, self._left = data.decode(), b""
            except UnicodeDecodeError as error:
                if error.end < len(data) or len(data) - error.start > 3:
                    raise SourceError(f"{self._name} is not UTF-8; {HOW_TO_CONVERT}") from error
                text, self._left = data[: error.start].decode(), data[error.start :]
            if text:
                return str(text)
        if self._left:
            raise SourceError(f"{self._name} ends within a character; fetch it again")
        return ""


def _row(data: bytes, origin: str, unit: str) -> Row:
    try:
        values = parse_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Row({}, origin, f"the {unit} is not UTF-8 (byte {error.start}); {HOW_TO_CONVERT}", _shown(data))
    except RecursionError:
        return Row({}, origin, f"the {unit} is not JSON that can be read: it is nested too deep", _shown(data))
    except ValueError as error:
        return Row({}, origin, f"the {unit} is not JSON: {error}", _shown(data))
    if isinstance(values, dict):
        return Row(values, origin)
    return Row({}, origin, f"the {unit} is not a JSON object but {_kind(values)}", _shown(data))


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _is_beginning(text: str) -> bool:
    """Whether only the rest is missing for a JSON value."""
    try:
        _LENIENT.decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


def _end_of_value(text: str, at: int) -> int | None:
    try:
        return _LENIENT.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


def _fault(text: str, at: int) -> str:
    try:
        _LENIENT.raw_decode(text, at)
    except json.JSONDecodeError as error:
        return error.msg
    except RecursionError:
        return "it is nested too deep"
    except ValueError as error:
        return str(error)
    return f"a value is longer than {MAX_VALUE_BYTES >> 20} MiB"
