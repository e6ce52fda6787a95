"""How far what is followed is behind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PassageLag:
    """How far passages are behind what applications wrote: operations that were not looked at yet, and how many seconds
    ago everything written by then was right."""

    operations: int = 0
    seconds: float = 0.0
    trouble: str = ""  # what keeps a round from being taken
