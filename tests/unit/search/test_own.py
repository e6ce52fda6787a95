"""Which leg is sent which of the application's own queries, and what they demand of the other legs."""

from __future__ import annotations

from typing import Any

import pytest
from support.searches import search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.contract.synthetic import FIELDS, schema
from connector.errors import QueryError
from connector.filters import And, EngineQuery, Terms
from connector.search.own import OwnQueries, find_text, read_own_queries
from connector.settings.search import LegSettings

JSON = dict[str, Any]
SCHEMA = schema()
TENANT: JSON = {"term": {"tenant": "a"}}
OPEN: JSON = {"term": {"state": "open"}}
YEAR = Terms("year", (2024,))
OWN: JSON = {"bool": {"must": {"match": {"title": "tea"}}, "filter": TENANT}}
LEGS = {
    "dense": LegSettings(kind="dense"),
    "titles": LegSettings(kind="lexical", query={"bool": {"must": {"match": {"title": "{{query}}"}}, "filter": OPEN}}),
    "lexical": LegSettings(kind="lexical"),
}


def own(lexical: JSON | None = None, legs: dict[str, LegSettings] = LEGS) -> OwnQueries:
    return read_own_queries("tea", lexical, legs, SCHEMA)


def test_a_query_of_the_request_is_for_the_lexical_leg_and_templates_for_theirs() -> None:
    found = own(OWN)

    assert found.queries == {"lexical": OWN, "titles": {"bool": {"must": {"match": {"title": "tea"}}, "filter": OPEN}}}
    assert own(OWN, {name: LEGS[name] for name in ("dense", "titles")}).queries == {"titles": OWN}
    with pytest.raises(QueryError, match=r"search\.legs has no lexical leg"):
        own(OWN, {"dense": LEGS["dense"]})


def test_each_leg_keeps_to_the_filters_of_the_others_queries_and_of_the_request() -> None:
    tenant, state = EngineQuery(TENANT), EngineQuery(OPEN)
    found = own(OWN)

    assert found.filter_for("lexical", YEAR) == And((YEAR, state))
    assert found.filter_for("titles", None) == tenant
    assert found.filter_for("dense", YEAR) == And((YEAR, state, tenant))
    assert own(None, {"lexical": LEGS["lexical"]}).filter_for("lexical", None) is None


def test_a_text_that_is_given_counts_and_else_the_querys_own() -> None:
    assert find_text("green tea", OWN, SCHEMA) == "green tea"
    assert find_text(None, OWN, SCHEMA) == "tea"
    assert find_text(None, None, SCHEMA) is None
    keyword = next(name for name, kind in FIELDS.metadata.items() if kind == "keyword")
    with pytest.raises(QueryError, match=r"is not clear: no part .* holds a text; give it as query="):
        find_text(None, {"match": {keyword: "gold"}}, SCHEMA)


def test_what_is_no_query_is_refused_also_beside_a_text() -> None:
    for wrong in ("tea", [TENANT], {"query": OWN, "size": 3}):
        with pytest.raises(QueryError):
            read_own_queries("tea", wrong, LEGS, SCHEMA)  # type: ignore[arg-type]


async def test_the_embedded_store_says_that_it_has_no_such_language(index: EmbeddedIndex) -> None:
    for options in ({"lexical": OWN}, {"query": "tea", "lexical": OWN}):
        with pytest.raises(QueryError, match=r"embedded store has no query language of its own.*give the query's text"):
            await search(index, None, **{"query": None} | options)
