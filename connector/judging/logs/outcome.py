"""What an entry of a log says: a text that somebody searched for, nothing of the kind, or nothing that can be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchedFor:
    """A text that was searched for `times` times; 0: it is only named, and nobody knows how often.

    Where several entries tell of one search, `part` says which of them this is: the shards of a slow log. As many
    searches count as the part has that tells of most."""

    text: str
    times: int = 1
    part: str = ""


@dataclass(frozen=True, slots=True)
class NoSearch:
    """An entry that can be read, and is none of a search for a text; `reason` says what it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that cannot be read, and why."""

    reason: str


Outcome = SearchedFor | NoSearch | Unreadable
