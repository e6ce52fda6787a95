"""A results page as a whole search gives it, on all five stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.indices.scratch import drop, unique_name
from support.parts import schema_of
from support.searches import ENCODER, TEXTS, search

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.settings.sections import ClusterSettings
from connector.types import Document, IndexedDocument, Passage, Total


@pytest.fixture(scope="module")
def small(store: ClusterSettings) -> Iterator[str]:
    """The name of an index of five short documents."""

    async def fill(name: str) -> None:
        cluster = await connect(store)
        made = schema_of(ENCODER, text={"text": 1.0}, metadata={"kind": "keyword"})
        index = await cluster.create_index(name, made)
        await index.write(
            [
                IndexedDocument(
                    Document(doc_id, {"text": text, "kind": text.split()[1]}),
                    "hash",
                    (Passage(doc_id, 0, text),),
                    ENCODER.encode([text]),
                )
                for doc_id, text in TEXTS.items()
            ]
        )
        await index.finish()
        await cluster.close()

    name = unique_name()
    asyncio.run(fill(name))
    yield name
    asyncio.run(drop(store, name))


class TestSearch:
    """A whole search, without a reranker, gives the same page on each store."""

    async def test_a_page_has_counts_groups_and_marks(self, cluster: Cluster, small: str) -> None:
        index = await cluster.open_index(small)
        options: dict[str, Any] = {"aggs": {"kinds": {"terms": {"field": "kind"}}}, "highlight": True}
        response = await search(index, None, "fishes", **options)
        union = await search(index, None, "fishes", facets="union", collapse="kind", source="kind", **options)
        highlights = {hit.doc_id: hit.highlight for hit in response.hits}

        assert (response.total, response.degraded) == (Total(3), ())
        assert response.aggregations["kinds"]["buckets"] == [
            {"key": "fish", "doc_count": 2},
            {"key": "red", "doc_count": 1},
        ]
        assert highlights.pop("a") == {"text": ["red <em>fish</em> swims"]}
        assert highlights.pop("d") == {"passage": [TEXTS["d"]]}
        assert union.total == Total(5, "eq", "union")
        assert len(union.aggregations["kinds"]["buckets"]) == 4
        kinds = [hit.fields["kind"] for hit in union.hits]
        assert kinds == [*dict.fromkeys(hit.fields["kind"] for hit in response.hits)]
        assert [hit.fields.keys() for hit in union.hits] == [{"kind"}] * 4

    async def test_a_sorted_page_and_its_next_are_of_one_order(self, cluster: Cluster, small: str) -> None:
        index = await cluster.open_index(small)
        sort = ["kind:desc", {"doc_id": "asc"}]
        pages = [await search(index, None, "red fish", sort=sort, offset=at, k=2, total=True) for at in (0, 2, 4)]

        assert [(hit.rank, hit.doc_id) for page in pages for hit in page.hits] == [
            (1, "e"), (2, "a"), (3, "c"), (4, "b")]  # fmt: skip
        assert {page.total for page in pages} == {Total(4)}
