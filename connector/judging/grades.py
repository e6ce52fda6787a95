"""`grades.jsonl`: who gave which grade to which pair, a line each, in the order in which they were said.

The file only grows. A line is on disk when `append` returns, and so a kill, a crash or a power cut takes back nothing
that was acknowledged. Several processes may append at once. What a kill left of a line that was never acknowledged is
cut off before the next one, and said."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from connector.errors import DiskError, SourceError
from connector.extras import needs

GradeKind = Literal["person", "model", "clicks", "imported"]
GRADES = range(4)  # 0 irrelevant, 3 perfectly relevant; what is imported may have a scale of its own
SETTLED = "settled"  # who a grade is by that ends a disagreement
LOCK = ".grades.lock"
POLL_S = 0.005
log = logging.getLogger(__name__)


def now() -> str:
    """The time as a grade keeps it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Grade:
    """What somebody said of a pair. `grade` is None where it was skipped; `undoes` takes back the last line of the same
    pair and the same `by`. `about` says how it came about: a model and its prompt, who settled a disagreement.

    Raises SourceError for what is no grade."""

    query_id: str
    doc_id: str
    grade: int | None
    by: str
    kind: GradeKind = "person"
    about: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    undoes: bool = False
    at: str = field(default_factory=now)

    def __post_init__(self) -> None:
        named = {"query_id": self.query_id, "doc_id": self.doc_id, "by": self.by}
        if missing := [name for name, value in named.items() if not isinstance(value, str) or not value]:
            raise SourceError(f"a grade needs a text as {' and '.join(missing)}")
        if self.kind not in get_args(GradeKind):
            raise SourceError(f"{self.kind!r} is no kind of judge; use one of {', '.join(get_args(GradeKind))}")
        is_number = isinstance(self.grade, int) and not isinstance(self.grade, bool)
        if self.grade is not None and not (is_number and (self.kind == "imported" or self.grade in GRADES)):
            raise SourceError(f"{self.grade!r} is no grade; use 0, 1, 2 or 3, or null for what was skipped")

    @property
    def key(self) -> tuple[str, str, str]:
        """Of all lines with one key the last one stands."""
        return self.query_id, self.doc_id, self.by


class GradeLog:
    """The grades of one file, for several threads and processes at once.

    `repaired` counts the torn lines that were cut off here, each the remains of a kill."""

    def __init__(self, path: Path) -> None:
        """Repairs the file where its last line is torn. One that is not there is made by the first grade."""
        self.path = path
        self.repaired = 0
        self._read_lock = threading.Lock()
        self._lines: list[Grade] = []
        self._read_bytes = 0
        self._standing: tuple[int, tuple[Grade, ...]] = (0, ())  # of so many lines
        if path.exists():
            with suppress(DiskError), self._alone(), self._opened() as file:  # to read, a torn line does not matter
                self._repair(file)

    def append(self, grade: Grade) -> None:
        """Durable when it returns. Raises DiskError where it cannot be written; nothing is written then."""
        self.extend([grade])

    def extend(self, grades: Iterable[Grade]) -> None:
        """As `append`, for many at the cost of one: all are on disk when it returns, or none."""
        content = b"".join(orjson.dumps(asdict(grade), option=orjson.OPT_APPEND_NEWLINE) for grade in grades)
        with self._alone(), self._opened() as file:
            before = self._repair(file)
            try:
                _write_all(file, content)
                os.fsync(file)
                if not before:
                    _sync_folder(self.path.parent)
            except OSError:
                os.ftruncate(file, before)
                raise

    def undo(self, query_id: str, doc_id: str, by: str, kind: GradeKind = "person") -> None:
        """Take back the last standing line of this pair by this judge."""
        self.append(Grade(query_id, doc_id, None, by, kind, undoes=True))

    def read(self) -> tuple[Grade, ...]:
        """The grades that stand, in the order in which they were said: none that was undone, and the last one of each
        (query, document, judge). Raises SourceError for a line that is no grade."""
        lines = self.history()
        count, grades = self._standing
        if len(lines) != count:
            grades = standing(lines)
            self._standing = len(lines), grades
        return grades

    def history(self) -> tuple[Grade, ...]:
        """Every line, also what was undone since. Only what is new since the last call is read from the disk."""
        with self._read_lock:
            content = self._new_content()
            first = len(self._lines) + 1
            lines = enumerate(content.splitlines(), start=first)
            self._lines += [_parse(line, f"{self.path}:{number}") for number, line in lines]
            self._read_bytes += len(content)
            return tuple(self._lines)

    def _new_content(self) -> bytes:
        """The whole lines that were not read yet; what comes after the last one was never acknowledged."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                content = file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SourceError(f"cannot read {self.path} ({error.strerror}); check its permissions") from error
        return content[: content.rfind(b"\n") + 1]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Among all threads and processes. The system releases the lock of one that is killed."""
        with needs("judge", "keeping grades"):
            from filelock import FileLock
        try:
            with FileLock(self.path.with_name(LOCK), thread_local=False, poll_interval=POLL_S):
                yield
        except OSError as error:
            raise DiskError(
                f"cannot write {self.path} ({error.strerror or error}); nothing of this grade was kept: make room or "
                "check the permissions, and give it again"
            ) from error

    @contextmanager
    def _opened(self) -> Iterator[int]:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            yield file
        finally:
            os.close(file)

    def _repair(self, file: int) -> int:
        """Cut off what follows the last line end; the size of the file after it."""
        size = os.fstat(file).st_size
        if not size or os.pread(file, 1, size - 1) == b"\n":
            return size
        content = os.pread(file, size, 0)
        whole = content.rfind(b"\n") + 1
        os.ftruncate(file, whole)
        os.fsync(file)
        self.repaired += 1
        log.warning(
            "%s ended in the middle of a line, as a kill leaves it: cut off %d bytes of a grade that was never "
            "acknowledged; all others are there",
            self.path,
            size - whole,
        )
        return whole


def standing(lines: Iterable[Grade]) -> tuple[Grade, ...]:
    """The last line of each (query, document, judge) that no later one took back, in the order they were said."""
    by_key: dict[tuple[str, str, str], list[tuple[int, Grade]]] = {}
    for place, grade in enumerate(lines):
        kept = by_key.setdefault(grade.key, [])
        if not grade.undoes:
            kept.append((place, grade))
        elif kept:
            kept.pop()
    return tuple(grade for _, grade in sorted((kept[-1] for kept in by_key.values() if kept), key=lambda last: last[0]))


def _parse(line: bytes, where: str) -> Grade:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise SourceError(
            f"{where} is no JSON ({error}); the file is only ever appended to: take that line out"
        ) from None
    try:
        return Grade(**row)
    except (TypeError, SourceError) as error:
        raise SourceError(f"{where} is no grade ({error}); take that line out") from error


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on disk as well."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
