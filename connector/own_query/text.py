"""The text that a query searches for: found in its match-like parts, and chosen where they hold several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.own_query.shape import INNER, QueryObject, clauses, kind_and_body, read_bool
from connector.own_query.syntax import plain_simple_words, plain_words

ONE_FIELD = ("match", "match_phrase", "match_phrase_prefix", "match_bool_prefix", "common", "fuzzy")
SEVERAL_FIELDS = ("multi_match", "combined_fields")
SYNTAX = ("query_string", "simple_query_string")
SPANS = (
    *("span_term", "span_near", "span_or", "span_first", "span_not", "span_containing", "span_within", "span_multi"),
    "field_masking_span",
)
# a model of the engine's own makes numbers of a text: where it stands
MODELS = {
    "knn": ("query_vector_builder", "text_embedding", "model_text"),
    "neural": ("*", "query_text"),
    "neural_sparse": ("*", "query_text"),
    "semantic": ("query",),
    "sparse_vector": ("query",),
    "text_expansion": ("*", "model_text"),
    "weighted_tokens": (),
}
RANKING = frozenset((*ONE_FIELD, *SEVERAL_FIELDS, *SYNTAX, *SPANS, *MODELS, "intervals", "more_like_this"))
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text in a query, the kind of the part that holds it, and whether a document has to match such a part."""

    kind: str
    text: str
    required: bool


def find_texts(query: QueryObject, exact_fields: Collection[str], *, required: bool = True) -> Iterator[TextPart]:
    """The texts in the parts of a query that give it its scores."""
    kind, body = kind_and_body(query)
    if kind == "bool":
        found = read_bool(body)
        for clause in found.must:
            yield from find_texts(clause, exact_fields, required=required)
        for clause in found.should:
            yield from find_texts(clause, exact_fields, required=required and found.at_least > 0)
    elif kind in INNER:
        for clause in clauses(body, INNER[kind]):
            yield from find_texts(clause, exact_fields, required=required)
    elif ranks(kind, body, exact_fields):
        for text in _texts(kind, body, exact_fields):
            if words := " ".join(text.split()):
                yield TextPart(kind, words, required)


def ranks(kind: str, body: Any, exact_fields: Collection[str]) -> bool:
    """Whether a query that holds no others finds by words or nearness; any other only lets through.

    A match of a number, or of a field that is known to hold no running text, lets through."""
    if kind in ONE_FIELD and isinstance(body, Mapping):
        return all(isinstance(_value(value), str) and name not in exact_fields for name, value in body.items())
    if kind in SEVERAL_FIELDS and isinstance(body, Mapping):
        names = [str(name).partition("^")[0] for name in _listed(body.get("fields"))]
        return not isinstance(body.get("query"), bool) and (not names or not set(names) <= set(exact_fields))
    if kind == "query_string":
        return bool(_texts(kind, body, exact_fields))
    return kind in RANKING


def choose_text(parts: Sequence[TextPart]) -> tuple[str | None, str]:
    """The text that a person typed, as far as it is clear, and why it is that one, or none.

    Parts that have to match come before those that only add to a score. Of several texts it is the one that holds all
    words of the others, else the one that most parts hold."""
    if not parts:
        return None, "no part that gives the query its scores holds a text"
    heard = [part for part in parts if part.required] or list(parts)
    texts: dict[tuple[str, ...], str] = {}
    for part in heard:
        texts.setdefault(_words(part.text), part.text)
    counts = Counter(_words(part.text) for part in heard)
    if len(texts) == 1:
        alike = all(_words(part.text) in texts for part in parts)
        return heard[0].text, "all parts hold it" if alike else "all parts that have to match hold it"
    every = set().union(*texts)
    whole = [words for words in texts if set(words) == every]
    if len(whole) == 1:
        return texts[whole[0]], "it holds all words of the other texts"
    (first, most), (_, next_most) = counts.most_common(2)
    if most > next_most:
        return texts[first], f"{most} of {len(heard)} parts hold it"
    listed = ", ".join(repr(text[:40]) for text in list(texts.values())[:3])
    return None, f"its parts hold different texts ({listed}), none of which is clearly what was typed"


def _texts(kind: str, body: Any, exact_fields: Collection[str]) -> list[str]:
    if not isinstance(body, Mapping):
        return []
    if kind in ONE_FIELD:
        return [text for value in body.values() if isinstance(text := _value(value), str)]
    if kind in SEVERAL_FIELDS:
        return _scalar_text(body.get("query"))
    if kind == "query_string":
        return [words for text in _scalar_text(body.get("query")) if (words := plain_words(text, exact_fields))]
    if kind == "simple_query_string":
        return [plain_simple_words(text) for text in _scalar_text(body.get("query"))]
    if kind == "more_like_this":
        return [text for text in _listed(body.get("like")) if isinstance(text, str)]
    if kind == "intervals":
        return [" ".join(_interval_texts(rule)) for rule in body.values()]
    if kind in SPANS:
        return [" ".join(_span_texts(kind, body))]
    return _model_texts(body, MODELS[kind])


def _interval_texts(rule: Any) -> Iterator[str]:
    """The texts of an interval's rule: all those of `all_of`, the first of `any_of`."""
    if not isinstance(rule, Mapping):
        return
    for kind, body in rule.items():
        if kind == "match" and isinstance(body, Mapping):
            yield from _scalar_text(body.get("query"))
        elif kind in ("all_of", "any_of") and isinstance(body, Mapping):
            rules = _listed(body.get("intervals"))
            for inner in rules if kind == "all_of" else rules[:1]:
                yield from _interval_texts(inner)


def _span_texts(kind: str, body: Any) -> Iterator[str]:
    """The words of a span query, in their order; of alternatives the first, of what is excluded none."""
    if kind == "span_term" and isinstance(body, Mapping):
        for value in body.values():
            yield from _scalar_text(value.get("value", value.get("term")) if isinstance(value, Mapping) else value)
        return
    inner = {"span_first": "match", "span_not": "include", "span_containing": "big", "span_within": "big"}
    spans = clauses(body, inner.get(kind, "query" if kind == "field_masking_span" else "clauses"))
    for span in spans[:1] if kind == "span_or" else spans:
        yield from _span_texts(*kind_and_body(span))


def _model_texts(body: Any, path: Sequence[str]) -> list[str]:
    """The texts at the end of a path of keys, of which `*` is every key."""
    found: list[Any] = [body]
    for key in path:
        objects = [value for value in found if isinstance(value, Mapping)]
        found = [inner for value in objects for inner in (value.values() if key == "*" else [value.get(key)])]
    return [text for text in found if isinstance(text, str)] if path else []


def _value(given: Any) -> Any:
    """What a field is asked for: `"text"`, `{"query": "text"}`, or the `{"value": "text"}` of a `fuzzy`."""
    return given.get("query", given.get("value")) if isinstance(given, Mapping) else given


def _scalar_text(value: Any) -> list[str]:
    return [str(value)] if isinstance(value, str | int | float) and not isinstance(value, bool) else []


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.casefold()))
