"""Texts that were searched for -> queries: what is the same after normalisation is one of them.

Folded are capitals, blanks, spellings of the same letters (`connector/text.py`) and punctuation at the end. Words are
never changed: what only means the same stays apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from connector.judging.logs.outcome import SearchedFor
from connector.text import normalise_text

MAX_CHARS = 1_000  # what is longer was pasted, and no engine takes that many words
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # they mean nothing in a query, and much to a terminal
END = " .,;:!?…。、！？"
LETTERS = ("L", "N", "So", "M")  # categories of letters, digits, emoji and marks


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """A text in its most frequent spelling, and how often it was searched for."""

    key: str
    text: str
    frequency: int

    @property
    def query_id(self) -> str:
        """The same for the same query, in whatever log it stands."""
        return "q" + hashlib.sha256(self.key.encode()).hexdigest()[:10]

    @property
    def words(self) -> int:
        return len(self.text.split())


def fold_key(text: str) -> str:
    """What is equal for texts that are one query; "" for what has no letter, digit or emoji."""
    words = " ".join(normalise_text(text).lower().split()).rstrip(END)
    return words if any(unicodedata.category(character).startswith(LETTERS) for character in words) else ""


class QueryCounter:
    """Counts texts by query. What it holds grows with the different queries, not with the log."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._spellings: dict[str, Counter[str]] = {}  # those that differ from the key
        self._parts: dict[str, Counter[str]] = {}
        self.left_out: Counter[str] = Counter()  # searches by why they are no query

    def __len__(self) -> int:
        return len(self._times)

    def add(self, asked: SearchedFor) -> None:
        """Count it, or why it is no query."""
        text = asked.text.encode("utf-8", "ignore").decode("utf-8")  # half an emoji, where a log was cut, is nothing
        if len(text) > MAX_CHARS:
            self.left_out[f"longer than {MAX_CHARS:,} characters"] += 1
            return
        key = fold_key(text)
        if not key:
            self.left_out["no letter and no digit in it"] += 1
            return
        spelling = " ".join(CONTROL.sub(" ", text).split())
        if spelling != key:
            self._spellings.setdefault(key, Counter())[spelling] += max(asked.times, 1)
        if asked.part:
            self._times.setdefault(key, 0)
            self._parts.setdefault(key, Counter())[asked.part] += asked.times
        else:
            self._times[key] = self._times.get(key, 0) + asked.times

    def queries(self) -> list[LoggedQuery]:
        """The most frequent first; those that are as frequent in the order of their keys."""
        found = [LoggedQuery(key, self._text(key), self._frequency(key)) for key in self._times]
        return sorted(found, key=lambda query: (-query.frequency, query.key))

    def _frequency(self, key: str) -> int:
        parts = self._parts.get(key)
        return max(self._times[key] + (max(parts.values()) if parts else 0), 1)

    def _text(self, key: str) -> str:
        """Of two that are as frequent, the plainer."""
        others = self._spellings.get(key)
        if not others:
            return key
        plain = self._times[key] + sum(self._parts.get(key, {}).values()) - others.total()
        text, times = min(others.items(), key=lambda other: (-other[1], other[0]))
        return text if times > plain else key
