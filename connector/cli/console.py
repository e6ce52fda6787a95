"""Where the commands write: results to stdout, which can be piped, and what they say beside them to stderr."""

from __future__ import annotations

import os

from rich.console import Console

WIDTH = 160  # of what goes to a file or a log, where rich would take 80 columns and cut figures to fit
stderr = Console(stderr=True)


def say(text: str, style: str | None = "yellow") -> None:
    """A line on stderr, as it is: nothing in it is taken for markup, or coloured by what it looks like."""
    stderr.print(text, style=style, highlight=False, markup=False)


def results() -> Console:
    """What prints on stdout as it is now: as wide as the terminal or $COLUMNS, or WIDTH where there is neither."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=WIDTH)
