"""Slow logs of Elasticsearch and OpenSearch: the text in the body of each search.

A line tells of one shard and one phase of a search, so that a search makes many of them. OpenSearch also has a log of
whole requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from connector.errors import QueryError
from connector.judging.logs.outcome import NoSearch, Outcome, SearchedFor, Unreadable
from connector.own_query.read import read_own_query

# [time][LEVEL][logger] [node] [index][shard] took[..], ..., source[{..}], id[..]; of whole requests without the shard
PLAIN = re.compile(
    r"^\[[^\]]+\]\s*\[[A-Z]+\s*\]\s*\[(?P<logger>[\w.]*(?:slowlog|s\.s)[\w.]*)\s*\]\s*\[[^\]]*\]\s*"
    r"(?P<shard>\[[^\]]+\]\s*\[\d+\])?\s*took\["
)
SOURCE = re.compile(r"\bsource\[")
# as Elasticsearch 8 and 9 write them (ECS), and Elasticsearch 7 and OpenSearch
SOURCES = ("elasticsearch.slowlog.source", "source")
MESSAGES = ("elasticsearch.slowlog.message", "message")
LOGGERS = ("log.logger", "component")
KINDS = ("event.dataset", "type")
_DECODER = json.JSONDecoder()


def is_slow_line(line: str) -> bool:
    """Whether it is a line of the plain form."""
    return PLAIN.match(line) is not None


def is_slow_row(row: Mapping[str, Any]) -> bool:
    """Whether it is an object of the JSON form."""
    return any("slowlog" in str(find(row, name)) for name in (*KINDS, *LOGGERS)) or find(row, SOURCES[0]) is not None


def parse_slow_line(line: str) -> Outcome:
    """What a line of the plain form says."""
    found = PLAIN.match(line)
    opened = found and SOURCE.search(line, found.end())
    if not found or not opened:
        return Unreadable("it is no line of a search slow log: it has no source[...]")
    return _read(line[opened.end() :], part=f"{found['logger']} {found['shard'] or ''}")


def parse_slow_row(row: Mapping[str, Any]) -> Outcome:
    """What an object of the JSON form says."""
    source = _first(row, SOURCES)
    if not isinstance(source, str):
        return NoSearch("an entry of a slow log that holds no search")
    return _read(source, part=f"{_first(row, LOGGERS)} {_first(row, MESSAGES) or ''}")


def read_body(body: Any, part: str = "") -> Outcome:
    """The text of a search's body, where it is clear."""
    query = body.get("query") if isinstance(body, Mapping) else None
    if not isinstance(query, Mapping):
        return NoSearch("a search without a query")
    try:
        read = read_own_query(query)
    except QueryError as error:
        return Unreadable(str(error))
    return (
        SearchedFor(read.text, part=part)
        if read.text
        else NoSearch(f"a query without a clear text: {_short(read.why)}")
    )


def find(row: Mapping[str, Any], path: str) -> Any:
    """What stands in an object under a path, whether its dots are in names or between objects; None for nothing."""
    if path in row:
        return row[path]
    name, dot, rest = path.partition(".")
    inner = row.get(name)
    return find(inner, rest) if dot and isinstance(inner, Mapping) else None


def _read(source: str, part: str) -> Outcome:
    """Of the text of a body, which may be followed by more, and whose quotes some versions escape twice."""
    try:
        body = _DECODER.raw_decode(source)[0]
    except (ValueError, RecursionError):
        try:
            body = json.loads(json.loads(f'"{source}"'))
        except (ValueError, RecursionError):
            return Unreadable("the body of the search is no JSON, or was cut off")
    return read_body(body, part)


def _first(row: Mapping[str, Any], paths: tuple[str, ...]) -> Any:
    return next((value for path in paths if (value := find(row, path)) is not None), None)


def _short(why: str) -> str:
    """Without the texts themselves, so that alike entries are counted together."""
    return re.sub(r" \(.*\)", "", why)
