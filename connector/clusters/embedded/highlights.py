"""Highlights of the embedded store: the words of a query marked in the texts that were searched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from connector.clusters.embedded.words import matching_spans
from connector.clusters.reading.marks import CharacterSpan, Tags, mark, read_tags
from connector.errors import QueryError
from connector.schema import IndexSchema
from connector.types import Highlights

FRAGMENTS, FRAGMENT_SIZE = 5, 100  # as the engines have it
SENTENCE = re.compile(r"\S.*?(?:[.!?…。！？]+(?=\s|$)|\n|$)", re.DOTALL)
OPTIONS = frozenset(
    {"fields", "pre_tags", "post_tags", "tags_schema", "encoder", "number_of_fragments", "fragment_size"}
)
OF_A_FIELD = frozenset({"number_of_fragments", "fragment_size"})


@dataclass(frozen=True, slots=True)
class HighlightPlan:
    """What is to be highlighted: for each text field how many fragments of which size; 0 fragments: the whole text."""

    fields: Mapping[str, tuple[int, int]]
    tags: Tags = field(default_factory=Tags)


def read_highlight_plan(options: Mapping[str, Any], schema: IndexSchema) -> HighlightPlan:
    """The plan of a request. Raises QueryError for an option or a field that the embedded store cannot serve."""
    _check(options, OPTIONS)
    asked = options.get("fields", {})
    named = [pair for entry in (asked if isinstance(asked, list) else [asked]) for pair in entry.items()]
    fields: dict[str, tuple[int, int]] = {}
    for pattern, own in named:
        _check(own, OF_A_FIELD)
        names = [name for name in schema.fields.text if fnmatchcase(name, pattern)]
        if not names and "*" not in pattern:
            has = ", ".join(schema.fields.text)
            raise QueryError(f"the index has no text field {pattern!r} to highlight; it has: {has}")
        both = {**options, **own}
        size = both.get("number_of_fragments", FRAGMENTS), both.get("fragment_size", FRAGMENT_SIZE)
        fields |= dict.fromkeys(names, size)
    return HighlightPlan(fields, read_tags(options))


def highlight_texts(query: str, texts: Mapping[str, str], plan: HighlightPlan, analyzer: str) -> Highlights:
    """The fragments of a document's texts, by field; a text in which nothing is marked has none."""
    found = {}
    for name, (count, size) in plan.fields.items():
        text = texts.get(name) or ""
        spans = matching_spans(query, text, analyzer)
        if spans:
            found[name] = _fragments(text, spans, count, size, plan.tags)
    return found


def _fragments(text: str, spans: Sequence[CharacterSpan], count: int, size: int, tags: Tags) -> list[str]:
    """The pieces of the text with the most marks, in the order of the text."""
    if count == 0:
        return [mark(text, spans, tags)]
    pieces = []
    for start, end in _pieces(text, size):
        inside = [(first - start, last - start) for first, last in spans if start <= first and last <= end]
        if inside:
            pieces.append((start, end, inside))
    best = sorted(sorted(pieces, key=lambda piece: -len(piece[2]))[:count])
    return [mark(text[start:end], inside, tags) for start, end, inside in best]


def _pieces(text: str, size: int) -> Iterator[CharacterSpan]:
    """Whole sentences, as many together as fit the size, and at least one."""
    start = end = 0
    for match in SENTENCE.finditer(text):
        if end > start and match.end() - start > size:
            yield start, end
            start = match.start()
        start, end = (match.start() if end <= start else start), match.end()
    if end > start:
        yield start, end


def _check(options: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(options) - known)
    if unknown:
        has = ", ".join(sorted(known))
        raise QueryError(f"highlights of the embedded store have no option {unknown[0]!r}; they have: {has}")
