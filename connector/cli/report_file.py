"""A job's report as a JSON file, which is checked before the job and written after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
from connector.whole_file import check_writable, write_whole


def check_report(file: Path) -> None:
    """Raise SettingsError where no report could be written, before a job runs for it."""
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
        raise SettingsError(f"cannot write the report to {file} ({error.strerror})") from error
