"""The body of a `_search` -> what is known of it, its parts in their own bytes; or why it passes through.

Where the URL and the body say the same thing, the URL wins, as in the engines."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import Parameters
from connector.gateway.reading.raw_json import Raw, members, read_copy, write
from connector.gateway.reading.text import TextReader, plain_text

# to every request of ours
SHARED = frozenset({"runtime_mappings", "derived"})
EVERYWHERE = SHARED | {"timeout", "indices_boost"}
# to the one whose reply the caller gets, but for its hits
LEXICAL = frozenset({"aggs", "aggregations", "suggest", "profile", "track_total_hits", "track_scores", "stats", "ext"})
# what matches at all, wherever the caller's query is asked for its own order
MATCHING = frozenset({"post_filter", "min_score", "terminate_after"})
# to those that fetch what the caller sees of a hit
PAGE = frozenset(
    {
        *("_source", "fields", "docvalue_fields", "stored_fields", "script_fields", "highlight", "version"),
        *("seq_no_primary_term", "explain", "include_named_queries_score"),
    }
)
READ = frozenset({"query", "retriever", "from", "size", "sort"})
SIZE, MAX_RESULTS = 10, 10_000  # of the engines
DIGITS = re.compile(r"[0-9]{1,9}")
BY_SCORE = ("_score", ["_score"], {"_score": "desc"}, [{"_score": "desc"}], [{"_score": {"order": "desc"}}])
BY_SCORE_ALSO: tuple[Any, ...] = ({"_score": {"order": "desc"}}, "_score:desc", {"_score": {}}, [{"_score": {}}], [])


@dataclass(frozen=True, slots=True)
class SearchBody:
    """A search that is recognised. `query` is the caller's in its own bytes and `parsed` a copy to look at, out of its
    `wrapper`; `parts` are the other members of the body, in their own bytes."""

    text: str
    strict: bool
    query: Raw
    parsed: Mapping[str, Any]
    parts: Mapping[str, Raw]
    start: int
    size: int

    def those(self, *names: frozenset[str]) -> dict[str, Raw]:
        """The members of these names."""
        wanted = frozenset().union(*names)
        return {name: part for name, part in self.parts.items() if name in wanted}


def read_search(data: bytes, parameters: Parameters, reader: TextReader, *, retrievers: bool) -> SearchBody:
    """What a body says. `retrievers`: whether the engine takes `retriever`. Raises NotRecognised."""
    data = _given(data, parameters)
    copy = read_copy(data) if data.strip() else {}
    if not isinstance(copy, dict):
        raise NotRecognised("no object")
    unknown = copy.keys() - (EVERYWHERE | LEXICAL | MATCHING | PAGE | READ)
    if unknown:
        raise NotRecognised(f"body {min(unknown)[:40]}")
    parts = _parts(data) if copy else {}
    _check_sort(copy, parameters)
    if _names_none(copy.get("stored_fields")):
        raise NotRecognised("stored_fields _none_")
    start, size = _whole("from", 0, copy, parameters), _whole("size", SIZE, copy, parameters)
    if not size:
        raise NotRecognised("size 0")
    if start + size > MAX_RESULTS:
        raise NotRecognised("beyond 10,000")
    query = _query(copy, parts, parameters, retrievers=retrievers)
    parsed = _unwrapped(read_copy(bytes(query)))
    reading = reader.read(parsed)
    rest = {name: part for name, part in parts.items() if name not in READ}
    return SearchBody(reading.text, reading.strict, query, parsed, rest, start, size)


def _unwrapped(copy: Any) -> Any:
    """The query in a `wrapper`, which Spring Data puts around those that its users write as text."""
    wrapped = copy.get("wrapper") if isinstance(copy, Mapping) and len(copy) == 1 else None
    text = wrapped.get("query") if isinstance(wrapped, Mapping) and len(wrapped) == 1 else None
    if not isinstance(text, str):
        return copy
    try:
        return read_copy(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise NotRecognised("query wrapper") from None


def _given(data: bytes, parameters: Parameters) -> bytes:
    source, kind = parameters.read.get("source"), parameters.read.get("source_content_type", "")
    if source is None:
        return data
    if data.strip() or kind.partition(";")[0].strip().lower() != "application/json":
        raise NotRecognised("parameter source")
    return source.encode()


def _parts(data: bytes) -> dict[str, Raw]:
    try:
        return {name: part.copy() for name, part in members(data).items()}
    except msgspec.DecodeError:
        raise NotRecognised("no plain JSON") from None


def _check_sort(copy: Mapping[str, Any], parameters: Parameters) -> None:
    given = parameters.read.get("sort", copy.get("sort"))
    if given is not None and given not in (*BY_SCORE, *BY_SCORE_ALSO):
        raise NotRecognised("sort")


def _names_none(given: Any) -> bool:
    return "_none_" in given if isinstance(given, list) else given == "_none_"


def _whole(name: str, default: int, copy: Mapping[str, Any], parameters: Parameters) -> int:
    written = parameters.read.get(name)
    if written is not None:
        if not DIGITS.fullmatch(written):
            raise NotRecognised(f"parameter {name}")
        return int(written)
    value = copy.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotRecognised(f"body {name}")
    return value


def _query(copy: Mapping[str, Any], parts: Mapping[str, Raw], parameters: Parameters, *, retrievers: bool) -> Raw:
    """The query that is searched with, in the caller's own bytes where it is in the body."""
    if "q" in parameters.read:  # the engines leave out what the body says
        if "retriever" in copy:
            raise NotRecognised("retriever and q")
        return Raw(write({"query_string": _of_url(parameters.read)}))
    if "retriever" in copy:
        if not retrievers or "query" in copy:
            raise NotRecognised("retriever")
        return _of_retriever(copy["retriever"], parts["retriever"])
    if "query" not in parts or not isinstance(copy["query"], Mapping):
        raise NotRecognised("no query")
    return parts["query"]


def _of_url(read: Mapping[str, str]) -> dict[str, Any]:
    """The `query_string` that the engines make of `q` and what belongs to it."""
    flags = {name: read[name] for name in ("analyze_wildcard", "lenient") if name in read}
    if any(value not in ("", "true", "false") for value in flags.values()):
        raise NotRecognised("parameter lenient")
    made: dict[str, Any] = {"query": plain_text("query_string", read["q"])}
    made |= {"default_field": read["df"]} if "df" in read else {}
    made |= {name: read[name] for name in ("default_operator", "analyzer") if name in read}
    return made | {name: value != "false" for name, value in flags.items()}


def _of_retriever(copy: Any, part: Raw) -> Raw:
    """The query of a `standard` retriever, with its filter."""
    standard = copy.get("standard") if isinstance(copy, Mapping) and len(copy) == 1 else None
    if not isinstance(standard, Mapping) or "query" not in standard or standard.keys() - {"query", "filter"}:
        raise NotRecognised("retriever")
    inner = members(members(part)["standard"])
    if "filter" not in inner:
        return inner["query"].copy()
    return Raw(write({"bool": {"must": [inner["query"]], "filter": inner["filter"]}}))
