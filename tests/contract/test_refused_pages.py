"""What a store refuses of a results page, and what it says then."""

from __future__ import annotations

from typing import Any

import pytest
from support.indices.scratch import unique_name
from support.searches import search

from connector.clusters.connect import connect
from connector.contract.synthetic import make_documents, schema
from connector.errors import ClusterError, QueryError
from connector.lexical import LexicalQuery, PageRequest
from connector.settings.sections import ClusterSettings

EVERYONE = LexicalQuery("document")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (
            {"aggregations": {"a": {"date_histogram": {"field": "date"}}}},
            "it has: terms, range, histogram, missing, min",
        ),
        ({"aggregations": {"a": {"terms": {"field": "tier", "include": "g.*"}}}}, "no option 'include'.*field, order"),
        ({"aggregations": {"a": {"avg": {"field": "title"}}}}, "of no field of the index; .*tier, tags, number"),
        ({"aggregations": {"a": {"avg": {"field": "tier"}}}}, "needs numbers, and 'tier' is of type keyword"),
        ({"aggregations": {"a": ["terms"]}}, "an object of objects"),
        (
            {"aggregations": {"a": {"avg": {"field": "price"}, "aggs": {"b": {"avg": {"field": "price"}}}}}},
            "no buckets",
        ),
        ({"sort": "title"}, "cannot sort by 'title'; it can by: tier, .*_score, doc_id"),
        ({"sort": [{"price": {"mode": "min"}}]}, r"it has order \(asc, desc\)"),
        ({"sort": [3]}, "a sort names fields"),
        ({"highlight": {"fields": {"title": {"type": "plain"}}}}, "no option 'type'; they have: fragment_size"),
        ({"highlight": {"fields": {"headline": {}}}}, "no text field 'headline' to highlight; it has: title, text"),
    ],
)
async def test_the_embedded_store_names_what_it_has_instead(embedded: ClusterSettings, page: Any, reason: str) -> None:
    cluster = await connect(embedded)
    name = unique_name()
    index = await cluster.create_index(name, schema())

    with pytest.raises(QueryError, match=reason):
        index.check_lexical(EVERYONE, PageRequest(**page))
    await cluster.drop_index(name)
    await cluster.close()


async def test_what_an_engine_cannot_aggregate_is_said_by_it(engine: ClusterSettings) -> None:
    cluster = await connect(engine)
    name = unique_name()
    index = await cluster.create_index(name, schema())
    page = PageRequest(aggregations={"a": {"terms": {"field": "title"}}})

    with pytest.raises(ClusterError, match=r"Text fields are not optimised|fielddata"):
        await index.lexical(EVERYONE, depth=5, filter=None, timeout_s=30.0, page=page)
    await cluster.drop_index(name)
    await cluster.close()


async def test_what_an_engine_refuses_of_a_search_is_said_as_it_says_it(engine: ClusterSettings) -> None:
    cluster = await connect(engine)
    name = unique_name()
    index = await cluster.create_index(name, schema())
    refused: dict[str, dict[str, Any]] = {
        "query, sort or aggregations": {"aggs": {"a": {"mach": {}}}},
        "highlight": {"highlight": {"fields": {"title": {"type": "mach"}}}},
    }
    await index.write(make_documents()[:3])
    await index.finish()

    for part, options in refused.items():
        with pytest.raises(QueryError, match=rf"the engine does not take this {part}: .*mach"):
            await search(index, None, "report", encoder=None, **options)
    await cluster.drop_index(name)
    await cluster.close()
