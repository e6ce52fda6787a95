"""What failed, kept as JSON lines: the reason, where the row was, and the row as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.errors import DiskError
from connector.ingest.sources import Row


class RejectsFile:
    """The file of what failed in one run; there is none where nothing did."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Raise DiskError where this run could keep none of its own; what is there stays."""
        try:
            try:
                with open(self._path, "x", encoding="ascii"):
                    pass
                self._path.unlink(missing_ok=True)  # another job may look at the same moment
            except FileExistsError:
                with open(self._path, "a", encoding="ascii"):
                    pass
        except OSError as error:
            raise DiskError(
                f"failed documents cannot be kept in {self._path} ({error.strerror}); name another file: --rejects"
            ) from error

    def clear(self) -> None:
        """Forget the last run's rejects; a pipe or a device, such as /dev/null, stays. Raises DiskError as `check`
        does."""
        self.check()
        if self._path.is_file():
            self._path.unlink(missing_ok=True)

    def keep(self, row: Row, reason: str) -> None:
        """Keep a row that failed. Raises DiskError where that cannot be done."""
        self.keep_line(reject_line(row, reason))

    def keep_line(self, line: str) -> None:
        """Keep a row that failed elsewhere, as `reject_line` words it. Raises DiskError where that cannot be done."""
        try:
            with open(self._path, "a", encoding="ascii") as file:
                file.write(line)
        except OSError as error:
            raise DiskError(
                f"cannot keep a failed document in {self._path} ({error.strerror}); free space, or name another file: "
                "--rejects"
            ) from error

    def written(self) -> Path | None:
        """The file, if anything is in it."""
        return self._path if self._path.is_file() and self._path.stat().st_size else None


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
