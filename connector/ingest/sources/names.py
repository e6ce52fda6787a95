"""Names of columns, each once: what has none is numbered, what comes again gets a number behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def tell_apart(names: Sequence[str], notes: Counter[str] | None) -> list[str]:
    """As many names, each once, in order; `notes`, if any, gets what was renamed."""
    taken = {name for name in names if name}
    used: set[str] = set()
    unique = []
    for position, name in enumerate(names, start=1):
        new = name or f"column_{position}"
        number = 2
        while new in used or (new in taken and new != name):
            new = f"{name or 'column'}_{number if name else position + number}"
            number += 1
        used.add(new)
        unique.append(new)
        if notes is None:
            continue
        if not name:
            notes[f"column {position} has no name; it is read as {new!r}"] += 1
        elif new != name:
            notes[f"column {position} is named {name!r}, as another is; it is read as {new!r}"] += 1
    return unique
