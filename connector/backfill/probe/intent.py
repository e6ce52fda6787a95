"""What a back-fill means to add to an index, as far as its rules need to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from connector.backfilled import AddedNames

Versions = Literal["auto", "internal", "external"]


@dataclass(frozen=True, slots=True)
class Intent:
    """The names of our fields, the text fields that are read, who counts the versions of documents (`auto`: found out),
    and how many passages a document has at most, and how many nested objects with those, where that is known."""

    names: AddedNames = field(default_factory=AddedNames)
    texts: tuple[str, ...] = ()
    versions: Versions = "auto"
    most_passages: int = 0
    most_nested: int = 0
