"""Queries that the application made itself: which leg is sent which, and what they demand of the other legs' hits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.errors import QueryError
from connector.filters import And, Filter
from connector.own_query.read import read_own_query
from connector.own_query.template import fill_template
from connector.schema import IndexSchema
from connector.settings.search import LegSettings


@dataclass(frozen=True, slots=True)
class OwnQueries:
    """The queries by the name of the leg that is sent them, as they came, and the filter part of each.

    `asked` is the leg whose query came with the request, and not out of the settings."""

    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    filters: Mapping[str, Filter] = field(default_factory=dict)
    asked: str = ""

    def filter_for(self, leg: str, given: Filter | None) -> Filter | None:
        """What a leg's hits have to fulfil: the filter of the request, and what the queries of other legs demand."""
        found = [given, *(part for name, part in self.filters.items() if name != leg)]
        parts = tuple(part for part in found if part is not None)
        return And(parts) if len(parts) > 1 else next(iter(parts), None)


def find_text(query: Any, lexical: Any, schema: IndexSchema) -> Any:
    """The text that is searched for: as given, or out of the application's own query. Raises QueryError where that does
    not tell it."""
    if query is not None or lexical is None:
        return query
    own = read_own_query(lexical, exact_fields=exact_fields(schema))
    if own.text is None:
        raise QueryError(f"the text of the lexical query is not clear: {own.why}; give it as query=")
    return own.text


def read_own_queries(
    text: str, lexical: Mapping[str, Any] | None, legs: Mapping[str, LegSettings], schema: IndexSchema
) -> OwnQueries:
    """The query of the request for the leg `lexical`, or else the first lexical one, and those that the settings have
    for others, filled in. Raises QueryError."""
    names = [name for name, leg in legs.items() if leg.kind == "lexical"]
    queries: dict[str, Mapping[str, Any]] = {
        name: fill_template(template, text) for name in names if (template := legs[name].query)
    }
    asked = ""
    if lexical is not None:
        if not names:
            raise QueryError("search.legs has no lexical leg, so there is none to send the lexical query with; add one")
        asked = "lexical" if "lexical" in names else names[0]
        queries[asked] = lexical
    exact = exact_fields(schema)
    filters = {name: read_own_query(query, exact_fields=exact).filter for name, query in queries.items()}
    return OwnQueries(queries, {name: found for name, found in filters.items() if found}, asked)


def exact_fields(schema: IndexSchema) -> Collection[str]:
    """The fields that are known to hold no running text."""
    return {name for name, kind in schema.fields.metadata.items() if kind != "stored"} - set(schema.fields.text)
