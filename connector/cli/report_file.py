"""A job's report as a JSON file, which is checked before the job and written after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
from connector.whole_file import check_writable, is_one_file, write_whole


def check_report(file: Path, others: Mapping[str, Path | None]) -> None:
    """Raise SettingsError where no report could be written, before a job runs for it, or where it would take the place
    of another file of the job; `others` are those by their roles."""
    for role, other in others.items():
        if other and is_one_file(file, other):
            raise SettingsError(f"{file} is {role}, and the report would take its place; name another file: --report")
    with _telling(file):
        check_writable(file)


def write_report(file: Path, described: Mapping[str, Any]) -> None:
    """The report as a JSON file, whole or not at all. Raises SettingsError."""
    with _telling(file):
        write_whole(file, json.dumps(described, indent=2, default=str) + "\n")


@contextmanager
def _telling(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"cannot write the report to {file} ({error.strerror}); name another file: --report"
        ) from error
