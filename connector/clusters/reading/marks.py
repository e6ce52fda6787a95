"""Marking the words of a query in a text, where the engine's own highlighter does not reach: in a passage."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.clusters.dialect import JSON
from connector.clusters.reading.term_counts import character_places, find_words
from connector.schema import IndexSchema

CharacterSpan = tuple[int, int]  # [start, end) in characters


@dataclass(frozen=True, slots=True)
class Tags:
    """What stands around a marked word, and whether the text itself is escaped for HTML."""

    before: str = "<em>"
    after: str = "</em>"
    escapes: bool = False


def read_tags(options: Mapping[str, Any]) -> Tags:
    """The tags that a highlight's options name."""
    styled = options.get("tags_schema") == "styled"
    return Tags(
        _first(options.get("pre_tags"), '<em class="hlt1">' if styled else "<em>"),
        _first(options.get("post_tags"), "</em>"),
        escapes=options.get("encoder") == "html",
    )


def mark(text: str, spans: Sequence[CharacterSpan], tags: Tags) -> str:
    """The text with its spans between tags; spans that overlap become one."""
    parts, at = [], 0
    for start, end in _joined(spans):
        parts += [_shown(text[at:start], tags), tags.before, _shown(text[start:end], tags), tags.after]
        at = end
    return "".join([*parts, _shown(text[at:], tags)])


def find_same_words(query: str, text: str) -> list[CharacterSpan]:
    """Where the text has a word of the query, in whatever case; for where the engine takes no text apart."""
    wanted = {word for _, _, word in find_words(query)}
    return [(start, end) for start, end, word in find_words(text, most=len(text)) if word in wanted]


def build_analysis(index: str, schema: IndexSchema, texts: Sequence[str]) -> JSON | None:
    """The body of `_mtermvectors` that takes texts apart as the first text field does that the engine can analyze;
    None where there is none."""
    ours = {name: (name, name) for name in schema.fields.text} if schema.managed else {}
    analyzed = [*(schema.layout.analyzed or ours).values()]
    if not analyzed:
        return None
    name, path = analyzed[0]
    options = {"fields": [name], "offsets": True, "positions": False, "payloads": False, "field_statistics": False}
    return {"docs": [{"_index": index, "doc": {path: text}} | options for text in texts]}


def read_analysis(reply: JSON, texts: Sequence[str]) -> list[dict[str, list[CharacterSpan]]] | None:
    """The spans of each term of each text; None where the engine could not take one apart."""
    if any("error" in doc for doc in reply["docs"]):
        return None
    return [_read_terms(doc, text) for doc, text in zip(reply["docs"], texts, strict=True)]


def _read_terms(doc: JSON, text: str) -> dict[str, list[CharacterSpan]]:
    place = character_places(text)
    fields = doc.get("term_vectors", {}).values()
    return {
        term: [(place[token["start_offset"]], place[token["end_offset"]]) for token in found.get("tokens", ())]
        for field in fields
        for term, found in field["terms"].items()
    }


def _joined(spans: Sequence[CharacterSpan]) -> list[CharacterSpan]:
    joined: list[CharacterSpan] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif start < end:
            joined.append((start, end))
    return joined


def _shown(text: str, tags: Tags) -> str:
    return html.escape(text) if tags.escapes else text


def _first(value: Any, default: str) -> str:
    found = next(iter(value), default) if isinstance(value, list | tuple) else value
    return found if isinstance(found, str) else default
