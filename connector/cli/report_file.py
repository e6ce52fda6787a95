"""A job's report as a JSON file, which is checked before the job and written after it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.errors import SettingsError


def check_report(file: Path) -> None:
    """Raise SettingsError where no report could be written, before a job runs for it."""
    try:
        half = _half_written(file)
        half.touch()
        half.unlink()
    except OSError as error:
        raise SettingsError(f"cannot write the report to {file} ({error.strerror})") from error


def write_report(file: Path, described: Mapping[str, Any]) -> None:
    """The report as a JSON file, whole or not at all."""
    half = _half_written(file)
    try:
        half.write_text(json.dumps(described, indent=2, default=str) + "\n")
        half.replace(file)
    except OSError as error:
        raise SettingsError(f"cannot write the report to {file} ({error.strerror})") from error


def _half_written(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}")
