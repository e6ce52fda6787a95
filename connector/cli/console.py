"""Where the commands write: results to stdout, which can be piped, and what they say beside them to stderr.

All of it is shown as it is. In rich's own spelling `[shop]` is a style, which would go without a trace, and engines put
names into such brackets; `:fire:` is a picture."""

from __future__ import annotations

import os

from rich.console import Console

WIDTH = 160  # of what goes to a file or a log, where rich would take 80 columns and cut figures to fit
stderr = Console(stderr=True, markup=False, emoji=False)


def say(text: str, style: str | None = "yellow") -> None:
    """A line on stderr: nothing in it is coloured by what it looks like."""
    stderr.print(text, style=style, highlight=False)


def results() -> Console:
    """What prints on stdout as it is now: as wide as the terminal or $COLUMNS, or WIDTH where there is neither."""
    console = Console(markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console
