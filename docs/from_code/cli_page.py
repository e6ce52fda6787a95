"""The page of all commands, made from the command line's own help."""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click

from connector.cli.app import app

HEADER = """\
# Command line

This page is made from the code: it is what `connector COMMAND --help` prints.

"""


def build_cli_page() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="connector")
    return HEADER + re.sub(r"^(#+) `(.+)`$", r"#\1 \2", text, flags=re.MULTILINE)
