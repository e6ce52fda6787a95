"""A text file -> its text or its numbered lines, in whatever encoding and with whatever line ends it was written.

A byte-order mark decides the encoding, and without one it is UTF-8; what is not is an error that names the line, never
a guess: a wrong guess would change an id, and with it a measure. Gzip is known by its first bytes, not by the name."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from connector.errors import SourceError
from connector.signatures import HEAD_BYTES, why_no_text

GZIP_MAGIC = b"\x1f\x8b"
# UTF-32 first: its little-endian mark begins with that of UTF-16
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"
LINE_END = re.compile(r"\r\n|\r|\n")
PIECE_BYTES = 1_000_000


def read_text(path: Path) -> str:
    """The whole text, without byte-order marks at the beginnings of lines (files that were joined have several).

    Raises SourceError for what cannot be read or decoded, with the line."""
    content = _read_bytes(path)
    if reason := why_no_text(content[:HEAD_BYTES]):
        raise SourceError(f"{path}:1 holds {reason}; it needs to be text, plain or packed by gzip")
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = line_number(content[: error.start].decode(encoding, "replace"))
        raise SourceError(f"{path}:{line} {_not_decoded(encoding, content[error.start])}") from None
    if "\0" in text:
        line = line_number(text[: text.index("\0")])
        raise SourceError(
            f"{path}:{line} has a NUL character: it is no text, or UTF-16 without a byte-order mark; save it as UTF-8"
        )
    return re.sub(rf"(^|[\r\n]){MARK}+", r"\1", text)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, each with its number from 1 and without blanks around it. Raises SourceError."""
    for number, line in enumerate(LINE_END.split(read_text(path)), start=1):
        if stripped := line.strip():
            yield number, stripped


def line_number(before: str) -> int:
    """The number of the line that comes after this text."""
    return len(LINE_END.findall(before)) + 1


def _read_bytes(path: Path) -> bytes:
    """The content, unpacked. Raises SourceError."""
    try:
        with open(path, "rb") as stream:
            packed = stream.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
            return _unpack(gzip.GzipFile(fileobj=stream), path) if packed else stream.read()
    except OSError as error:
        raise SourceError(f"cannot read {path} ({error.strerror or error}); check the path") from None


def _unpack(stream: gzip.GzipFile, path: Path) -> bytes:
    """All that was packed. Raises SourceError with the last whole line where the file breaks off."""
    read = bytearray()
    try:
        while piece := stream.read1(PIECE_BYTES):
            read += piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        line = line_number(bytes(read).decode("latin-1"))
        raise SourceError(
            f"{path}:{line} is where the gzip file is damaged or breaks off ({error}); fetch or pack it anew"
        ) from None
    return bytes(read)


def _not_decoded(encoding: str, byte: int) -> str:
    if encoding == "utf-8":
        return (
            f"is not UTF-8 (byte 0x{byte:02x}); if it is Latin-1 or Windows-1252, convert it: "
            "iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        )
    return f"is not the {encoding.upper()} that its byte-order mark says; save it as UTF-8"
