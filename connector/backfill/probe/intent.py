"""What a back-fill means to add to an index, as far as its rules need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Versions = Literal["auto", "internal", "external"]


@dataclass(frozen=True, slots=True)
class Intent:
    """The names of our fields, the paths in `_source` that texts are read from, who counts the versions of documents
    (`auto`: found out), and how many passages a document has at most, where that is known."""

    field: str = "passages"
    marker: str = "passages_of"
    texts: tuple[str, ...] = ()
    versions: Versions = "auto"
    most_passages: int = 0
