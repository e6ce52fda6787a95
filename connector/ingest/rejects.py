"""What failed, kept as JSON lines: the reason, where the row was, and the row as it was."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from connector.errors import DiskError, SettingsError
from connector.file_locks import holder, take
from connector.ingest.sources import Row
from connector.whole_file import is_one_file, open_at_once, own_output


def source_file(location: str) -> Path:
    """The file that a location may be; what a source without one, as a database, would be called is there nowhere."""
    return Path("/dev/stdin" if location == "-" else location)


def check_apart(rejects: Path, location: str) -> None:
    """Raise SettingsError where what fails would be kept in the source itself, which would be gone."""
    if is_one_file(rejects, source_file(location)):
        raise SettingsError(f"{rejects} is the source, and would be written over; name another file: --rejects")


class RejectsFile:
    """The file of what failed in one run; there is none where nothing did."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[None]:
        """The file is this job's alone for as long as the block lasts, and no longer than its process; what is there
        stays. Jobs that only ever add to a file may have it `shared`; a pipe or a device, such as /dev/null, any job,
        and what /dev/stdout leads to.

        Raises SettingsError where another job has it, since one would take away what the other keeps, and DiskError as
        `check` does."""
        with self._opened(shared=shared) as (file, is_ours):
            if not is_ours:
                raise SettingsError(
                    f"{self._path} is in use by {holder(file)}, which keeps there what fails; wait for its end, or "
                    "name another file: --rejects"
                )
            yield

    def check(self) -> None:
        """Raise DiskError where this run could keep none of its own; what is there stays."""
        with self._opened():
            pass

    def clear(self) -> None:
        """Forget the last run's rejects; what several jobs may have stays as it is. Raises DiskError as `check`
        does."""
        with self._opened() as (file, _):
            if _is_plain(file):
                os.ftruncate(file, 0)

    @contextmanager
    def _opened(self, *, shared: bool = False) -> Iterator[tuple[int, bool]]:
        """The file, and whether we have it, with others where it is `shared`. After the block the last one who had it
        takes it away where nothing is in it."""
        file, is_ours = self._take(shared=shared)
        try:
            yield file, is_ours
        finally:
            self._remove_empty(file)
            os.close(file)

    def _take(self, *, shared: bool) -> tuple[int, bool]:
        while True:
            file = self._open()
            is_ours = not _is_plain(file) or take(file, shared=shared)
            if not is_ours or os.fstat(file).st_nlink or self._leads_to(file):
                return file, is_ours
            os.close(file)  # who had it took it away in this moment

    def _open(self) -> int:
        try:
            return self._open_to_add()
        except OSError as error:
            raise DiskError(
                f"failed documents cannot be kept in {self._path} ({error.strerror}); name another file: --rejects"
            ) from error

    def _open_to_add(self) -> int:
        with suppress(FileNotFoundError):
            if (own := own_output(self._path.stat())) is not None:
                return os.dup(own)
        return open_at_once(self._path, os.O_APPEND | os.O_CREAT)

    def _leads_to(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except OSError:
            return False

    def _remove_empty(self, file: int) -> None:
        """Take the file away where nothing is in it, but no link to one, and no other file that has its name by now."""
        about = os.fstat(file)
        with suppress(OSError):  # an empty one counts as none
            is_same = os.path.samestat(about, self._path.lstat())
            if is_same and _is_plain(file) and take(file) and not os.fstat(file).st_size:
                self._path.unlink()

    def keep(self, row: Row, reason: str) -> None:
        """Keep a row that failed. Raises DiskError where that cannot be done."""
        self.keep_line(reject_line(row, reason))

    def keep_line(self, line: str) -> None:
        """Keep a row that failed elsewhere, as `reject_line` words it. Raises DiskError where that cannot be done."""
        try:
            with open(self._open_to_add(), "a", encoding="ascii") as file:
                file.write(line)
        except OSError as error:
            raise DiskError(
                f"cannot keep a failed document in {self._path} ({error.strerror}); free space, or name another file: "
                "--rejects"
            ) from error

    def written(self) -> Path | None:
        """The file, if anything is in it."""
        return self._path if self._path.is_file() and self._path.stat().st_size else None


def _is_plain(file: int) -> bool:
    """Neither a pipe nor a device, nor where this process's own output goes."""
    known = os.fstat(file)
    return stat.S_ISREG(known.st_mode) and own_output(known) is None


def reject_line(row: Row, reason: str) -> str:
    """A line of the rejects file: JSON whatever the row holds."""
    rejected: dict[str, Any] = {"reason": reason, "origin": row.origin}
    if row.raw is not None:
        rejected["raw"] = row.raw
    else:
        rejected["document"] = to_json(row.values)
    return json.dumps(rejected, ensure_ascii=True, allow_nan=False) + "\n"


def to_json(value: Any) -> Any:
    """The value as JSON has it; what JSON lacks, as NaN, bytes and times, is written as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes() | bytearray():
            return bytes(value).decode("utf-8", "backslashreplace")
        case Mapping():
            return {str(key): to_json(part) for key, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_json(part) for part in value]
    return str(value)
