"""What every store promises (connector/clusters/protocol.py): the tests of the contract, run on all five."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.contract.clusters import ClusterContract
from connector.contract.clusters.store import (
    ALL,
    DOCUMENTS,
    QUERY_VECTORS,
    TIMEOUT_S,
    StoreContract,
    assert_exact,
    dense,
    lexical,
    on_store,
    unique_name,
    write,
)
from connector.contract.synthetic import schema
from connector.errors import QueryError
from connector.lexical import LexicalQuery
from connector.settings.sections import ClusterSettings


class OwnStores(StoreContract):
    """The five stores of the fixture `store`."""

    def exact_vectors(self, store: ClusterSettings) -> str:
        return "auto" if store.url.startswith("embedded") else "hnsw"


class TestCluster(OwnStores, ClusterContract):
    """All that a plug-in's cluster has to pass."""


class TestIndexOfAnEarlierVersion(OwnStores):
    @on_store
    async def test_it_is_written_and_searched_though_its_documents_keep_no_ids_as_values(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await cluster.create_index(index_name, replace(schema(), keeps_ids=False, keeps_original_text=False))
        older = await cluster.open_index(index_name)
        await write(older, *DOCUMENTS[:12])
        found = await dense(older, QUERY_VECTORS[0])

        assert {hit.doc_id for hit in found} == {
            indexed.document.doc_id for indexed in DOCUMENTS[:12] if indexed.passages
        }
        assert all(hit.passages for hit in found)
        assert await lexical(older, "report")


class TestFlatVectors(OwnStores):
    @pytest.mark.parametrize(
        "store", ["embedded", *(pytest.param(name, marks=pytest.mark.live) for name in ("es8", "es9"))], indirect=True
    )
    @on_store
    async def test_flat_vectors_are_searched_exactly_where_they_can_be_had(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        await self.fill(store, index_name, "flat")
        index = await cluster.open_index(index_name)

        for vector in QUERY_VECTORS:
            assert_exact(await dense(index, vector), vector, depth=ALL)


@pytest.mark.parametrize("own", [{"match_all": {}}, {"bool": {"filter": [{"exists": {"field": "tier"}}]}}])
async def test_the_embedded_store_says_that_it_takes_no_engines_query(embedded: ClusterSettings, own: Any) -> None:
    cluster = await connect(embedded)
    name = unique_name()
    index = await cluster.create_index(name, schema())
    asked = LexicalQuery("report", own=own)

    with pytest.raises(QueryError, match="the embedded store has no query language of its own"):
        index.check_lexical(asked)
    with pytest.raises(QueryError, match="search Elasticsearch or OpenSearch"):
        await index.lexical(asked, depth=3, filter=None, timeout_s=TIMEOUT_S)
    await cluster.drop_index(name)
    await cluster.close()
