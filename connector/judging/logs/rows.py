"""Rows of JSON and CSV: which field holds the text that was searched for, and how often it was.

Known are OpenSearch's `ubi_queries` and `ubi_events`, the events that Search UI sends to Elastic's analytics, App
Search's list of queries, Quepid's exports, and slow logs as JSON. In any other row it is a field with a usual name, or
the one that is named."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connector.judging.logs.outcome import NoSearch, Outcome, SearchedFor, Unreadable
from connector.judging.logs.slow import find, is_slow_row, parse_slow_row, read_body

# names without their blanks, hyphens and underscores, the likeliest first
TEXT_NAMES = (
    *("userquery", "querytext", "searchterm", "searchquery", "query", "q", "querystring", "keywords", "keyword"),
    *("searchterms", "topqueries", "term", "search", "text"),
)
COUNT_NAMES = ("count", "frequency", "times", "searches", "queries", "eventcount", "totaluniquesearches", "volume")
DOCUMENT_NAMES = ("docid", "documentid")  # a list of judgments: a query stands there once for each document
SEARCH_ACTIONS = frozenset({"search", "on_search", "query"})
BULK_ACTIONS = frozenset({"index", "create", "update", "delete"})


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields that were named on the command line; a dot leads into an object."""

    text: str | None = None
    count: str | None = None


def parse_row(row: Mapping[str, Any], columns: Columns) -> Iterator[Outcome]:
    """What a row says. A reply or a list in one object is as many rows as it holds."""
    if inner := _listed(row):
        for inner_row in inner:
            yield from parse_row(inner_row, columns)
    elif isinstance(row.get("_source"), Mapping):
        yield from parse_row(row["_source"], columns)
    elif len(row) == 1 and BULK_ACTIONS & set(row) and isinstance(next(iter(row.values())), Mapping):
        yield NoSearch("a line of a bulk request that holds no document")
    elif columns.text:
        yield _named(row, columns.text, columns)
    else:
        yield _recognised(row, columns)


def find_text_name(names: list[str]) -> str | None:
    """The one of these fields that is most likely the text."""
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[name] for name in TEXT_NAMES if name in plain), None)


def _recognised(row: Mapping[str, Any], columns: Columns) -> Outcome:
    if is_slow_row(row):
        return parse_slow_row(row)
    action = row.get("action_name") or find(row, "event.action")
    if isinstance(action, str) and action.lower() not in SEARCH_ACTIONS:
        return NoSearch("an event that is no search")
    if isinstance(action, str):
        texts = (find(row, "search.query"), row.get("user_query"), row.get("message"))
        return _asked(next((text for text in texts if text), None), row, columns)
    if isinstance(placeholders := row.get("placeholders"), Mapping):
        return _asked(placeholders.get("$query"), {**row, "doc_id": ""}, columns)
    name = find_text_name(list(row))
    if not name:
        return Unreadable(f"none of its fields is known to hold a query ({_some(row)}); name it with --column")
    return _named(row, name, columns)


def _named(row: Mapping[str, Any], name: str, columns: Columns) -> Outcome:
    value = find(row, name)
    if value in (None, "") and isinstance(body := row.get("query"), str | Mapping) and name != "query":
        value = body  # of UBI, where the application names no text
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):  # a text may begin so
            value = json.loads(value)
    if isinstance(value, Mapping):
        return read_body(value if "query" in value else {"query": value})
    return _asked(value, row, columns)


def _asked(value: Any, row: Mapping[str, Any], columns: Columns) -> Outcome:
    if value is None or value == "":
        return NoSearch("no text was searched for")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return Unreadable("what should be the query is no text")
    names = {_plain(name): name for name in row}
    if not columns.count and ("ratings" in row or any(name in names for name in DOCUMENT_NAMES)):
        return SearchedFor(str(value), times=0)
    counted = columns.count or next((names[name] for name in COUNT_NAMES if name in names), None)
    times = _count(find(row, counted)) if counted else 1
    if times is None:
        return Unreadable(f"its {counted} is no count")
    return SearchedFor(str(value), times)


def _count(value: Any) -> int | None:
    """5, "5", "1,234" and 5.0 are counts."""
    try:
        number = float(re.sub(r"[,\s']", "", str(value)))
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number >= 0 and not isinstance(value, bool) else None


def _listed(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows in a search's reply, in App Search's list of queries, or in Quepid's export of a case."""
    hits = row.get("hits")
    for value in (hits.get("hits") if isinstance(hits, Mapping) else None, row.get("results"), row.get("queries")):
        if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            return value
    return []


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def _some(row: Mapping[str, Any]) -> str:
    return ", ".join(list(row)[:8])
