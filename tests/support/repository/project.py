"""The package as pyproject.toml describes it, and its command line."""

from __future__ import annotations

import tomllib

import typer
from support.repository.pages import ROOT

from connector.cli.app import app

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def refuse_unknown_flags(arguments: list[str]) -> None:
    """Parse a command line without running it; raises click's UsageError."""
    group = typer.main.get_command(app)
    with group.make_context("connector", list(arguments), resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, list(arguments))
    command.make_context(name, rest).close()
