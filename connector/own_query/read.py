"""An application's own query -> its text, for the encoder and the reranker, and its filter, for every leg."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from connector.filters import EngineQuery, Filter
from connector.own_query.restrictions import all_of, find_restrictions
from connector.own_query.shape import QueryObject, check_depth
from connector.own_query.text import TextPart, choose_text, find_texts


@dataclass(frozen=True, slots=True)
class OwnQuery:
    """What a query says. `text` is None where it is not clear; `why` says why it is that one, or none.

    `filter` is what every document that matches the query fulfils; `parts` are all texts that were found."""

    text: str | None
    filter: Filter | None
    why: str
    parts: tuple[TextPart, ...]


def read_own_query(query: QueryObject, *, exact_fields: Collection[str] = ()) -> OwnQuery:
    """Read an engine's query object, which is sent as it came. Raises QueryError for what is none.

    `exact_fields` are fields that hold no running text, such as keywords: a match of one of them is part of the
    filter."""
    check_depth(query)
    parts = tuple(find_texts(query, exact_fields))
    text, why = choose_text(parts)
    found = find_restrictions(query, exact_fields)
    return OwnQuery(text, EngineQuery(all_of(found)) if found else None, why, parts)
