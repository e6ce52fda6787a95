"""A text that somebody pasted or sent -> queries: one a line, plain or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from connector.judging.queries.fold import MAX_CHARS, fold_key

MAX_QUERIES = 1_000
NAMES = ("text", "query", "user_query")  # of the text in an object


@dataclass(frozen=True, slots=True)
class QueryList:
    """The queries, each once, and what was left out."""

    queries: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_list(text: str) -> QueryList:
    """Of lines, each a query or a JSON object with its text, as in queries.jsonl."""
    return list_queries(_text_of(line.strip()) for line in text.lstrip("\ufeff").splitlines() if line.strip())


def list_queries(texts: Iterable[str]) -> QueryList:
    """Each query once, in the order given; of those beyond the first MAX_QUERIES none."""
    found: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for text in texts:
        words = " ".join(text.split())
        key = fold_key(words)
        if not key:
            left_out["hold no letter and no digit"] += 1
        elif len(words) > MAX_CHARS:
            left_out[f"are longer than {MAX_CHARS:,} characters"] += 1
        elif key in found:
            left_out["are there before"] += 1
        elif len(found) == MAX_QUERIES:
            left_out[f"come after the first {MAX_QUERIES:,}"] += 1
        else:
            found[key] = words
    notes = tuple(f"{count:,} left out, which {reason}" for reason, count in left_out.items())
    return QueryList(tuple(found.values()), notes)


def _text_of(line: str) -> str:
    """What is no object with a text is a query as it stands."""
    if not line.startswith("{"):
        return line
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    return next((row[name] for name in NAMES if isinstance(row.get(name), str)), line)
