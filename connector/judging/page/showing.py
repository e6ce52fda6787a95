"""A document's fields -> what the page shows of them: a heading, fields with their marked words, best parts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import SettingsError
from connector.judging.page.marking import CommonWords, Marks, cut_best_part, find_common_words, find_marks
from connector.judging.pairs import Pair

HEADINGS = ("title", "name", "headline")
MAX_HEADING_CHARS = 300


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of text, marked or not."""

    text: str
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field of a document. A long one has the pieces of its best part as well, and whether text comes before and
    after it."""

    name: str
    whole: tuple[Stretch, ...]
    best: tuple[Stretch, ...] = ()
    is_cut_before: bool = False
    is_cut_after: bool = False
    words: int = 0


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """What is shown of a document; `has_names` where its fields need their names to be told apart."""

    heading: ShownField | None
    fields: tuple[ShownField, ...]

    @property
    def has_names(self) -> bool:
        """One text alone explains itself."""
        return len(self.fields) > 1

    @property
    def is_long(self) -> bool:
        """Something of it is shown in part."""
        return any(field.best for field in self.fields)


@dataclass(frozen=True, slots=True)
class DocumentView:
    """What is shown of any document of a pool: the fields that were chosen, all where none were."""

    fields: tuple[str, ...]
    common: CommonWords

    def show(self, query: str, values: Mapping[str, Any]) -> ShownDocument:
        """The document for somebody who judges it for this query."""
        texts = {name: text_of_value(values[name]) for name in self.fields or values if name in values}
        texts = {name: text for name, text in texts.items() if text.strip()}
        heading = next((name for name in HEADINGS if len(texts.get(name, "")) in range(1, MAX_HEADING_CHARS)), None)
        fields = {name: self._show_field(query, name, text) for name, text in texts.items()}
        return ShownDocument(
            fields[heading] if heading else None, tuple(field for name, field in fields.items() if name != heading)
        )

    def _show_field(self, query: str, name: str, text: str) -> ShownField:
        marks = find_marks(query, text, self.common)
        whole = tuple(split(text, marks, 0, len(text)))
        part = cut_best_part(text, marks)
        if part is None:
            return ShownField(name, whole)
        start, end = part
        return ShownField(
            name,
            whole,
            tuple(split(text, marks, start, end)),
            is_cut_before=bool(text[:start].strip()),
            is_cut_after=bool(text[end:].strip()),
            words=len(text.split()),
        )


def make_view(pairs: Collection[Pair], fields: Sequence[str]) -> DocumentView:
    """For the pairs of a pool. Raises SettingsError for a chosen field that no document has."""
    known = dict.fromkeys(name for pair in pairs for name in pair.fields)
    if unknown := [name for name in fields if name not in known]:
        raise SettingsError(
            f"no document of the pool has a field {unknown[0]!r}; --fields can choose of: {', '.join(known) or 'none'}"
        )
    return DocumentView(tuple(fields), find_common_words(_texts(pairs)))


def text_of_value(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(element, str | int | float) for element in value):
        return " · ".join(text_of_value(element) for element in value)
    return json.dumps(value, ensure_ascii=False)


def split(text: str, marks: Marks, start: int, end: int) -> Iterator[Stretch]:
    """The text from start to end, in stretches that are marked and stretches that are not."""
    at = start
    for begin, finish in marks:
        begin, finish = max(begin, start), min(finish, end)
        if begin < finish:
            if at < begin:
                yield Stretch(text[at:begin])
            yield Stretch(text[begin:finish], is_marked=True)
            at = finish
    if at < end:
        yield Stretch(text[at:end])


def _texts(pairs: Iterable[Pair]) -> Iterator[str]:
    """Of each document once."""
    documents = {pair.doc_id: pair.fields for pair in pairs}
    return (" ".join(text_of_value(value) for value in fields.values()) for fields in documents.values())
