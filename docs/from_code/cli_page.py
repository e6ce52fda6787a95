"""The page of all commands, made from the command line's own help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.cli import get_docs_for_click

from connector.cli.app import app

HEADER = """\
# Command line

This page is made from the code: it is what `connector COMMAND --help` prints.

"""
HEADING = re.compile(r"^(#+) `connector ?(.*)`$")
SUMMARY = re.compile(r"^\* `(\w+)`: .*$")


def build_cli_page() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="connector")
    return HEADER + "\n".join(_with_whole_summaries(command, text))


def _with_whole_summaries(top: Any, text: str) -> Iterator[str]:
    """Typer's page with plain headings one level down, and each command's summary not cut at 45 characters."""
    path: list[str] = []
    is_list = False
    for line in text.splitlines():
        if heading := HEADING.match(line):
            path = heading[2].split()
            yield f"#{heading[1]} {' '.join(['connector', *path])}"
            continue
        is_list = line == "**Commands**:" or (is_list and not line.startswith("#"))
        if is_list and (summary := SUMMARY.match(line)):
            found = [*path, summary[1]]
            anchor = "-".join(["connector", *found])
            yield f"* [{summary[1]}](#{anchor}): {_find(top, found).help.strip().splitlines()[0]}"
        else:
            yield line


def _find(command: Any, path: list[str]) -> Any:
    for name in path:
        command = command.get_command(command.context_class(command), name)
    return command
