"""How a command that runs a job begins and ends, whatever the job."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from connector.cli.console import stderr
from connector.cli.report_file import check_report, write_report
from connector.settings.sections import Settings


def begin_job(
    settings: Settings, report_file: Path | None, *, rejects: Path | None = None, source: Path | None = None
) -> bool:
    """Make the log ready; whether there is a bar, beside which less is logged. Raises SettingsError where no report
    could be written, or only in place of the job's source or of what failed."""
    from connector.logs import configure_logging

    if report_file:
        check_report(report_file, {"the source": source, "the file of what fails (--rejects)": rejects})
    bar = stderr.is_terminal and settings.log.format == "text"
    configure_logging(settings.log, bar=bar)
    return bar


def end_job(
    described: Mapping[str, Any],
    settings: Settings,
    *,
    report_file: Path | None,
    as_json: bool,
    show: Callable[[], None],
    show_left: Callable[[], None],
    at_once: bool,
) -> NoReturn:
    """Write and show what was done, and end with its `exit_code`. `at_once`: a thread that is still at work on the
    encoder is not waited for."""
    code = described["exit_code"]
    if report_file:
        write_report(report_file, described)
    if as_json:
        print(json.dumps(described, default=str))
    elif settings.log.format == "text":
        show()
    if settings.log.format == "text":
        show_left()
    if at_once:
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)
