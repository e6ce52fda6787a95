"""JSON: one object a line, or objects over several lines, one after the other or in an array."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO

from connector.errors import SourceError
from connector.ingest.sources.json_text import parse_json
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import CHUNK_BYTES, HOW_TO_CONVERT, as_utf8, with_prefix

MAX_VALUE_BYTES = 64 * 1024 * 1024
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*(?:[{\]]|\Z)")
_BETWEEN = re.compile(r"[\s,]*")
_LENIENT = json.JSONDecoder(parse_int=lambda digits: None, parse_float=lambda digits: None)  # finds where a value ends


def read_json(stream: IO[bytes], name: str, notes: Counter[str]) -> Iterator[Row]:
    """The rows of JSON Lines; of an array of objects, and of objects over several lines, where the file begins so."""
    utf8 = as_utf8(stream, is_json=True)
    blank, first = 0, utf8.readline(MAX_VALUE_BYTES)
    while first and not first.strip():
        blank, first = blank + 1, utf8.readline(MAX_VALUE_BYTES)
    if _ARRAY_OF_OBJECTS.match(first):
        return _read_values(with_prefix(first, utf8), name, blank)
    if first.lstrip().startswith(b"{") and not _is_json(first):
        read = first + _read_until_whole(first, utf8)
        utf8 = with_prefix(read, utf8)
        if _is_json(read, lines=2):
            return _read_values(utf8, name, blank)
        return _read_lines(utf8, name, blank)
    return _read_lines(with_prefix(first, utf8), name, blank)


def _read_lines(stream: IO[bytes], name: str, number: int) -> Iterator[Row]:
    while line := stream.readline(MAX_VALUE_BYTES):
        number += 1
        origin = f"{name}:{number}"
        if len(line) == MAX_VALUE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_VALUE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Row({}, origin, f"the line is longer than {MAX_VALUE_BYTES >> 20} MiB", _shown(line[:1000]) + "…")
        elif line.strip():
            yield _row(line, origin, "line")


def _read_values(stream: IO[bytes], name: str, line: int) -> Iterator[Row]:
    """Values one after the other, or in one array, over any number of lines."""
    text, at, ended, in_array = "", 0, False, False
    decoder = _Decoder(stream, name)
    line += 1
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
            raise SourceError(f"{name} is not JSON from line {line} on: {_fault(text[at:])}; correct it there")
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


def _row(data: bytes, origin: str, what: str) -> Row:
    try:
        values = parse_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Row({}, origin, f"the {what} is not UTF-8 (byte {error.start}); {HOW_TO_CONVERT}", _shown(data))
    except RecursionError:
        return Row({}, origin, f"the {what} is not JSON that can be read: it is nested too deep", _shown(data))
    except ValueError as error:
        return Row({}, origin, f"the {what} is not JSON: {error}", _shown(data))
    if isinstance(values, dict):
        return Row(values, origin)
    return Row({}, origin, f"the {what} is not a JSON object but {_kind(values)}", _shown(data))


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _is_json(data: bytes, lines: int = 1) -> bool:
    """Whether one value stands there, over at least so many lines."""
    text = data.decode("utf-8", "replace")
    end = _end_of_value(text, len(text) - len(text.lstrip()))
    return end is not None and text.count("\n", 0, end) >= lines - 1


def _read_until_whole(first: bytes, stream: IO[bytes]) -> bytes:
    """What follows a line that a JSON value begins on, until the value is whole or cannot become so."""
    read, tried = first, 0
    while len(read) < MAX_VALUE_BYTES:
        if len(read) > 2 * tried:
            tried = len(read)
            text = read.decode("utf-8", "replace").strip()
            if _end_of_value(text, 0) is not None or not _is_beginning(text):
                break
        line = stream.readline(MAX_VALUE_BYTES)
        if not line:
            break
        read += line
    return read[len(first) :]


def _is_beginning(text: str) -> bool:
    """Whether only the rest is missing for a JSON value."""
    try:
        _LENIENT.decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return True


def _end_of_value(text: str, at: int) -> int | None:
    try:
        return _LENIENT.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


def _fault(text: str) -> str:
    try:
        _LENIENT.raw_decode(text)
    except json.JSONDecodeError as error:
        return error.msg
    except (ValueError, RecursionError) as error:
        return str(error)
    return "the array has no end"
