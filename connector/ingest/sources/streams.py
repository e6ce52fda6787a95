"""Bytes of a source: a file, plain or compressed, or a stream; in UTF-8, whatever Unicode encoding they came in."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol, cast

from connector.errors import SourceError
from connector.signatures import HEAD_BYTES, packed_suffix

Decompress = Callable[[IO[bytes]], IO[bytes]]
DECOMPRESSORS: dict[str, Decompress] = {
    ".gz": lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw)),
    ".bz2": lambda raw: cast(IO[bytes], bz2.BZ2File(raw)),
    ".xz": lambda raw: cast(IO[bytes], lzma.LZMAFile(raw)),  # noqa: SIM115
}
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CHUNK_BYTES = 64 * 1024
CHECK_BYTES = 1024 * 1024
SNIFFED_BYTES = 4096


class Input(Protocol):
    """Bytes that can be opened again and again; `share_read` is how far the last opening got, 0 to 1."""

    name: str

    def open(self) -> contextlib.AbstractContextManager[IO[bytes]]: ...

    def share_read(self) -> float: ...


class FileInput:
    """A regular file, decompressed where its first bytes say that it is packed, whatever its name says.

    What is compressed is read through once before the first row is given: the checksum comes last, and rows of a
    damaged file would be rubbish. A file that is merely cut off gives what stands before the cut."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._raw: IO[bytes] | None = None
        self._size = 1
        self._checked: tuple[int, int] | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with open(self._path, "rb") as raw:
            self._size = max(os.fstat(raw.fileno()).st_size, 1)
            decompress = _decompressor(raw.read(SNIFFED_BYTES), self._path)
            raw.seek(0)
            if decompress is None:
                self._raw = raw
                yield raw
                return
            self._check(raw, decompress)
            self._raw = raw
            with decompress(raw) as stream:
                yield stream

    def share_read(self) -> float:
        if self._raw is None or self._raw.closed:
            return 0.0
        return min(self._raw.tell() / self._size, 1.0)

    def _check(self, raw: IO[bytes], decompress: Decompress) -> None:
        """Raise SourceError where the file is damaged rather than cut off; once for each state of the file."""
        found = os.fstat(raw.fileno())
        state = (found.st_size, found.st_mtime_ns)
        if self._checked == state:
            return
        given = 0
        try:
            with decompress(raw) as stream:
                while data := stream.read1(CHECK_BYTES):  # type: ignore[attr-defined]
                    given += len(data)
        except EOFError:
            pass  # cut off; said where the rows end
        except READ_ERRORS as error:
            if not (given and "Not a gzipped file" in str(error)):  # else whole members with something else behind them
                raise SourceError(
                    f"{self._path} is damaged ({error}); nothing of it is read, as its rows cannot be trusted: "
                    "fetch or pack it again"
                ) from error
        raw.seek(0)
        self._checked = state


class FileRange:
    """The bytes of a plain file from one place to another."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self.name = path.name
        self._path = path
        self._start = start
        self._end = end
        self._read_to = start

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        self._read_to = self._start
        with open(self._path, "rb") as file:

            def read(at: int, size: int) -> bytes:
                place = self._start + at
                data = os.pread(file.fileno(), min(size, self._end - place), place)
                self._read_to = place + len(data)
                return data

            yield cast(IO[bytes], io.BufferedReader(_Replay(read), CHUNK_BYTES))

    def share_read(self) -> float:
        return (self._read_to - self._start) / max(self._end - self._start, 1)


class StreamInput:
    """A pipe, or what stands at standard input. It is kept in a temporary file as it is read, so that it can be
    opened again."""

    def __init__(self, path: Path | None) -> None:
        self.name = path.name if path else "stdin"
        self._path = path
        self._pipe: IO[bytes] | None = None
        self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this is
        self._ended = False

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        if self._pipe is None:
            if self._path:
                self._pipe = open(self._path, "rb", buffering=0)  # noqa: SIM115 - open until it is read
            else:
                self._pipe = cast(IO[bytes], getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
        head = self._replay().read(HEAD_BYTES)
        decompress = _decompressor(head, Path(self.name))
        yield decompress(self._replay()) if decompress else self._replay()

    def share_read(self) -> float:
        return 1.0 if self._ended else 0.0

    def _replay(self) -> IO[bytes]:
        return cast(IO[bytes], io.BufferedReader(_Replay(self._read), CHUNK_BYTES))

    def _read(self, start: int, size: int) -> bytes:
        """Bytes from `start`: of what was kept, or else the pipe's next."""
        if (data := os.pread(self._kept.fileno(), size, start)) or self._ended:
            return data
        assert self._pipe is not None
        data = self._pipe.read(size) or b""
        self._ended = not data
        if self._ended and self._path:
            self._pipe.close()
        written = 0
        while written < len(data):
            written += os.pwrite(self._kept.fileno(), data[written:], start + written)
        return data


def _decompressor(head: bytes, path: Path) -> Decompress | None:
    """What unpacks a file that begins so; None where it is not packed. Raises SourceError where it is damaged."""
    if suffix := packed_suffix(head):
        return DECOMPRESSORS[suffix]
    if path.suffix.lower() in DECOMPRESSORS and b"\0" in head:
        raise SourceError(
            f"{path.name} is damaged: it does not begin as {path.suffix.lower()} does, and is no text either; "
            "fetch or pack it again"
        )
    return None


class _Replay(io.RawIOBase):
    """A stream over a function that gives bytes from a position."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Utf8(io.RawIOBase):
    """UTF-8 without its byte-order mark; half a surrogate pair of UTF-16 stays the bytes that UTF-8 does not have."""

    def __init__(self, stream: IO[bytes], head: bytes, encoding: str) -> None:
        self._stream = stream
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._pending = head if self._decoder is None else self._encode(head)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._pending:
            data: bytes = self._stream.read1(len(buffer))  # type: ignore[attr-defined]
            self._pending = data if self._decoder is None else self._encode(data)
            if not data:
                break
        size = min(len(self._pending), len(buffer))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def _encode(self, data: bytes) -> bytes:
        assert self._decoder is not None
        return self._decoder.decode(data, not data).encode("utf-8", "surrogatepass")


def as_utf8(stream: IO[bytes], *, is_json: bool = False) -> IO[bytes]:
    """The stream in UTF-8, its byte-order mark gone: UTF-16 and UTF-32 are read where a mark says so, and JSON's
    where its first bytes do. Any other encoding passes as it is."""
    head = stream.read(4)
    encoding, mark = "utf-8", b""
    for known, name in BYTE_ORDER_MARKS:
        if head.startswith(known):
            encoding, mark = name, known
            break
    else:
        if is_json and b"\0" in head:
            encoding = _encoding_of_json(head)
    return with_prefix(head[len(mark) :], stream, encoding)


def with_prefix(prefix: bytes, stream: IO[bytes], encoding: str = "utf-8") -> IO[bytes]:
    """The stream with bytes put back before it."""
    return cast(IO[bytes], io.BufferedReader(_Utf8(stream, prefix, encoding), CHUNK_BYTES))


def decode_text(data: bytes) -> str:
    """The text in UTF-8, or in UTF-16 or UTF-32 with a byte-order mark; raises ValueError that says what to do."""
    mark, encoding = next((pair for pair in BYTE_ORDER_MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start + len(mark)
        raise ValueError(f"it is not {encoding.upper()} (byte {at}); {HOW_TO_CONVERT}") from None


def is_special(mode: int) -> str | None:
    """What a path is that is no regular file and no folder; None for those two."""
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((kind for is_kind, kind in kinds if is_kind(mode)), None)


HOW_TO_CONVERT = "convert it, e.g. iconv -f LATIN1 -t UTF-8 OLD > NEW"


def _encoding_of_json(head: bytes) -> str:
    """As RFC 4627 tells them: the first two characters of JSON text are ASCII."""
    zeros = [byte == 0 for byte in head]
    match zeros:
        case [True, True, True, False]:
            return "utf-32-be"
        case [False, True, True, True]:
            return "utf-32-le"
        case [True, False, *_]:
            return "utf-16-be"
        case [False, True, *_]:
            return "utf-16-le"
    return "utf-8"
