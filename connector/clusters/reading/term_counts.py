"""In how many documents the words of a query occur: asked of the engine's own statistics, or counted by a search."""

from __future__ import annotations

import re
from collections.abc import Sequence

from connector.clusters.dialect import JSON, match_clause
from connector.schema import IndexSchema
from connector.types import TermFrequency, TermStatistics

COUNTED_WORD = re.compile(r"\w+(?:['’.]\w+)*")  # about what the standard tokenizer takes for one
MAX_COUNTED_WORDS = 100


def build_term_statistics(schema: IndexSchema, text: str) -> JSON:
    """The body of `_termvectors` that analyzes `text` as each text field does and looks its terms up."""
    analyzed = schema.layout.analyzed or {name: (name, name) for name in schema.fields.text}
    return {
        "doc": {path: text for _, path in analyzed.values()},
        "fields": list(dict.fromkeys(name for name, _ in analyzed.values())),
        "term_statistics": True,
        "field_statistics": True,
        "positions": False,
        "payloads": False,
    }


def read_term_statistics(reply: JSON) -> TermStatistics:
    """Each term of the text with the largest document frequency that any text field gives it."""
    documents = 0
    frequencies: dict[tuple[int, int], int] = {}
    for field in reply.get("term_vectors", {}).values():
        documents = max(documents, field.get("field_statistics", {}).get("doc_count", 0))
        for term in field["terms"].values():
            for token in term.get("tokens", ()):
                span = (token["start_offset"], token["end_offset"])
                frequencies[span] = max(frequencies.get(span, 0), term.get("doc_freq", 0))
    return TermStatistics(documents, tuple(TermFrequency(*span, count) for span, count in sorted(frequencies.items())))


def find_words(text: str, most: int = MAX_COUNTED_WORDS) -> list[tuple[int, int, str]]:
    """(start, end, word) of a text's words, the first `most` different ones: as many as are counted in one request."""
    words = [(*match.span(), match.group().lower()) for match in COUNTED_WORD.finditer(text)]
    counted = set(list(dict.fromkeys(word for _, _, word in words))[:most])
    return [(start, end, word) for start, end, word in words if word in counted]


def build_word_counts(schema: IndexSchema, words: Sequence[str]) -> JSON:
    """The body of a `_search` that counts the documents with each word, among those that the caller may see.

    `_termvectors` counts all documents, whoever asks (seen on both engines). A stop word is in every document here."""
    filters = [match_clause(schema, word, operator="and", zero_terms_query="all") for word in words]
    return {
        "query": {"match_all": {}},
        "size": 0,
        "track_total_hits": True,
        "aggs": {"words": {"filters": {"filters": filters}}},
    }


def read_word_counts(reply: JSON, words: Sequence[str]) -> tuple[int, dict[str, int]]:
    """How many documents there are, and how many have each word; words that all have are left out, as stop words
    are."""
    documents = int(reply["hits"]["total"]["value"])
    buckets = reply["aggregations"]["words"]["buckets"]
    counts = {word: int(bucket["doc_count"]) for word, bucket in zip(words, buckets, strict=True)}
    return documents, {word: count for word, count in counts.items() if count < documents}


def in_characters(statistics: TermStatistics, text: str) -> TermStatistics:
    """The same with spans in characters of `text`: the engines count UTF-16 units, in which an emoji is two."""
    place = character_places(text)
    terms = (TermFrequency(place[term.start], place[term.end], term.frequency) for term in statistics.terms)
    return TermStatistics(statistics.documents, tuple(terms))


def character_places(text: str) -> dict[int, int]:
    """Where each character of the text begins, and the last one ends: UTF-16 units -> characters."""
    starts = [0]
    for character in text:
        starts.append(starts[-1] + (2 if character > "\uffff" else 1))
    return {units: at for at, units in enumerate(starts)}
