"""An engine's query -> the one text that it looks for, and whether it demands all of its words.

A whitelist: what is not listed here passes through. It is stricter than `connector.own_query`, which reads a query that
a programmer hands over on purpose; these came from applications that know nothing of us."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.errors import QueryError
from connector.gateway.reading.not_recognised import NotRecognised
from connector.own_query.shape import count_needed, kind_and_body, read_bool

LENIENT = ("match",)
STRICT = ("match_phrase", "match_phrase_prefix", "match_bool_prefix")
ONE_FIELD = LENIENT + STRICT
SEVERAL_FIELDS = ("multi_match", "combined_fields")
STRICT_TYPES = ("phrase", "phrase_prefix", "bool_prefix")
SYNTAX = ("query_string", "simple_query_string")
# clauses that look for no words: where they must match, they are a filter that adds to the score
EXACT = frozenset(
    {
        *("term", "terms", "terms_set", "range", "exists", "ids", "prefix", "wildcard", "regexp", "match_all", "type"),
        *("geo_distance", "geo_bounding_box", "geo_polygon", "geo_shape"),
    }
)
BOOL_KEYS = frozenset(
    {"must", "should", "filter", "must_not", "minimum_should_match", "boost", "_name", "adjust_pure_negative"}
)
DIS_MAX_KEYS = frozenset({"queries", "tie_breaker", "boost", "_name"})
MAX_CLAUSES = 1_024
WORD = re.compile(r"\w+")
# what is an operator wherever it stands, and before a word
OPERATORS = {
    "query_string": (re.compile(r'[:"~*?^()\[\]{}/\\!]|&&|\|\||[<>]=?'), re.compile(r"(?:^|\s)[-+]")),
    "simple_query_string": (re.compile(r'[|+"()*~\\]'), re.compile(r"(?:^|\s)-")),
}
OPERATOR_WORDS = {"query_string": frozenset({"AND", "OR", "NOT"}), "simple_query_string": frozenset[str]()}


@dataclass(frozen=True, slots=True)
class SearchedText:
    """What a query looks for. `strict`: it demands all of the words, so that nothing else may join its matches."""

    text: str
    strict: bool


@dataclass(frozen=True, slots=True)
class _ClauseText:
    """What a clause holds: its texts, whether it demands all of their words, and the values that it only places
    higher."""

    texts: tuple[str, ...] = ()
    strict: bool = False
    boosted: tuple[str | None, ...] = ()


@dataclass(slots=True)
class TextReader:
    """Reads queries of one index. `exact_fields` are known to hold no running text; `function_score`: whether the
    functions of an application may be reordered."""

    exact_fields: Collection[str] = ()
    function_score: bool = False
    _clauses: int = field(default=0, init=False)

    def read(self, query: Any) -> SearchedText:
        """The one text. Raises NotRecognised."""
        self._clauses = 0
        part = self._clause(query)
        texts: dict[str, str] = {}
        for text in part.texts:
            texts.setdefault(_alike(text), text)
        if not texts or not all(texts):
            raise NotRecognised("no text")
        if len(texts) > 1:
            raise NotRecognised("more than one text")
        ((alike, text),) = texts.items()
        if any(value is None or _alike(value) != alike for value in part.boosted):
            raise NotRecognised("a clause that places other things higher")
        return SearchedText(text, part.strict)

    def _clause(self, query: Any) -> _ClauseText:
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise NotRecognised("too many clauses")
        try:
            kind, body = kind_and_body(query)
        except QueryError:
            raise NotRecognised("no plain query") from None
        if "wrapper" in query or not isinstance(body, Mapping):
            raise NotRecognised(f"query {kind[:40]}")
        if kind in ONE_FIELD:
            return self._one_field(kind, body)
        if kind in SEVERAL_FIELDS:
            return self._several_fields(body)
        if kind in SYNTAX:
            return _syntax(kind, body)
        if kind == "bool":
            return self._bool(body)
        if kind == "dis_max":
            return self._dis_max(body)
        if kind == "function_score" and self.function_score and "min_score" not in body and "query" in body:
            return self._clause(body["query"])
        if kind in EXACT:
            return _ClauseText(boosted=(_value_of(kind, body),))
        raise NotRecognised(f"query {kind[:40]}")

    def _one_field(self, kind: str, body: Mapping[str, Any]) -> _ClauseText:
        if len(body) != 1:
            raise NotRecognised(f"query {kind}")
        ((name, given),) = body.items()
        options = given if isinstance(given, Mapping) else {"query": given}
        text = _text_of(kind, options)
        if name in self.exact_fields:
            return _ClauseText(boosted=(text,))
        return _ClauseText((text,), kind in STRICT or _demands_all(options, text))

    def _several_fields(self, body: Mapping[str, Any]) -> _ClauseText:
        text = _text_of("multi_match", body)
        fields = body.get("fields")
        listed = fields if isinstance(fields, list) else [fields] if fields else []
        names = {str(name).partition("^")[0] for name in listed}
        if names and names <= set(self.exact_fields):
            return _ClauseText(boosted=(text,))
        return _ClauseText((text,), body.get("type") in STRICT_TYPES or _demands_all(body, text))

    def _bool(self, body: Mapping[str, Any]) -> _ClauseText:
        if body.keys() - BOOL_KEYS:
            raise NotRecognised("query bool")
        found = read_bool(body)
        self._clauses += len(found.filter) + len(found.must_not)
        must = [self._clause(clause) for clause in found.must]
        should = [self._clause(clause) for clause in found.should]
        demanded = any(part.strict for part in must if part.texts)
        wanted = [part for part in should if part.texts]
        if found.at_least > 1 and wanted:
            demanded = True
        if found.at_least and wanted and not any(part.texts for part in must):
            demanded = demanded or all(part.strict for part in wanted)
        texts = tuple(text for part in (*must, *should) for text in part.texts)
        if not texts:
            return _ClauseText(boosted=(None,) if must or should else ())
        # what must match lets through, whatever it adds to a score; what need not match places higher
        boosted = [value for part in must if part.texts for value in part.boosted]
        boosted += [value for part in should for value in part.boosted]
        return _ClauseText(texts, demanded, tuple(boosted))

    def _dis_max(self, body: Mapping[str, Any]) -> _ClauseText:
        queries = body.get("queries")
        if body.keys() - DIS_MAX_KEYS or not isinstance(queries, list):
            raise NotRecognised("query dis_max")
        parts = [self._clause(clause) for clause in queries]
        texts = tuple(text for part in parts for text in part.texts)
        strict = all(part.strict for part in parts if part.texts)
        return _ClauseText(texts, strict, tuple(value for part in parts for value in part.boosted))


def plain_text(kind: str, text: str) -> str:
    """The text of a `query_string` or `simple_query_string` without operators. Raises NotRecognised where it has any:
    they are a wish for exactness."""
    anywhere, before = OPERATORS[kind]
    if anywhere.search(text) or before.search(text) or OPERATOR_WORDS[kind] & set(text.split()):
        raise NotRecognised("operators in the text")
    return text


def _syntax(kind: str, body: Mapping[str, Any]) -> _ClauseText:
    text = plain_text(kind, _text_of(kind, body))
    demands = str(body.get("default_operator", "or")).lower() == "and" or _demands_all(body, text)
    return _ClauseText((text,), demands or body.get("type") in STRICT_TYPES)


def _text_of(kind: str, body: Mapping[str, Any]) -> str:
    text = body.get("query")
    if not isinstance(text, str):
        raise NotRecognised(f"a {kind} of no text")
    return text


def _demands_all(options: Mapping[str, Any], text: str) -> bool:
    if str(options.get("operator", "or")).lower() == "and":
        return True
    spec = options.get("minimum_should_match")
    return spec is not None and count_needed(str(spec), len(WORD.findall(text))) > 1


def _value_of(kind: str, body: Mapping[str, Any]) -> str | None:
    """The word that a `term` looks for; None where it is something else."""
    if kind not in ("term", "prefix") or len(body) != 1:
        return None
    (given,) = body.values()
    value = given.get("value") if isinstance(given, Mapping) else given
    return value if isinstance(value, str) else None


def _alike(text: str) -> str:
    """Two texts with the same of this are one text."""
    return " ".join(text.split()).casefold()
