"""Queries by what they have in common: a label of theirs, or their length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.errors import SettingsError
from connector.evaluation.files.queries import JudgedQuery

LENGTH = "length"
LENGTHS = {"1-2 words": 2, "3-5 words": 5, "6-10 words": 10, "11 words or more": 10**9}
UNLABELLED, REST = "(none)", "(other)"
MAX_SEGMENTS = 20

Segments = Mapping[str, tuple[str, ...]]  # name of the segment -> query_ids


def default_segments(queries: Sequence[JudgedQuery]) -> tuple[str, ...]:
    """By kind, where the queries have one, and by length."""
    return ("kind", LENGTH) if any(query.kind for query in queries) else (LENGTH,)


def segment(queries: Sequence[JudgedQuery], by: str) -> Segments:
    """The queries of each segment, the largest first; a query with several labels is in several. Lengths come in their
    order.

    Raises SettingsError where no query has such a label."""
    if by == LENGTH:
        found = _gather([(query, (length_of(query.text),)) for query in queries])
        return {name: found[name] for name in LENGTHS if name in found}
    if not any(by in query.labels for query in queries):
        known = sorted({label for query in queries for label in query.labels})
        raise SettingsError(f"no query has a field {by!r}; queries can be told apart by {', '.join([LENGTH, *known])}")
    found = _gather([(query, query.labels.get(by) or (UNLABELLED,)) for query in queries])
    ordered = sorted(found, key=lambda name: (-len(found[name]), name))
    if len(ordered) <= MAX_SEGMENTS:
        return {name: found[name] for name in ordered}
    rest = dict.fromkeys(query_id for name in ordered[MAX_SEGMENTS:] for query_id in found[name])
    return {name: found[name] for name in ordered[:MAX_SEGMENTS]} | {REST: tuple(rest)}


def length_of(text: str) -> str:
    """The segment of a query's length."""
    words = len(text.split())
    return next(name for name, longest in LENGTHS.items() if words <= longest)


def _gather(labelled: Sequence[tuple[JudgedQuery, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for query, names in labelled:
        for name in dict.fromkeys(names):
            found.setdefault(name, []).append(query.query_id)
    return {name: tuple(query_ids) for name, query_ids in found.items()}
