"""The dense leg ranks by the cosine."""

from __future__ import annotations

import pytest

from connector.clusters.protocol import Cluster, Index
from connector.contract.clusters.store import (
    ALL,
    DOCUMENTS,
    NUMBERS,
    QUERY_VECTORS,
    StoreContract,
    assert_exact,
    dense,
    ids,
    lexical,
    on_store,
    write,
)
from connector.contract.synthetic import cosines, make_document, schema, unit_vectors
from connector.settings.sections import ClusterSettings


class DenseContract(StoreContract):
    @pytest.mark.parametrize("number", range(len(QUERY_VECTORS)))
    @on_store
    async def test_the_ranking_is_that_of_exact_cosines(self, index: Index, number: int) -> None:
        vector = QUERY_VECTORS[number]

        assert_exact(await dense(index, vector), vector, depth=ALL)
        assert_exact(await dense(index, vector, depth=10), vector, depth=10)

    @pytest.mark.parametrize("passages", [2, 3, 4])
    @on_store
    async def test_as_many_of_the_nearest_passages_come_along_as_asked(self, index: Index, passages: int) -> None:
        vector = QUERY_VECTORS[0]

        assert_exact(await dense(index, vector, passages=passages), vector, depth=ALL, passages=passages)
        assert_exact(await dense(index, vector, depth=7, passages=passages), vector, depth=7, passages=passages)

    @on_store
    async def test_the_default_vector_index_finds_nearly_the_same(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        await self.fill(store, index_name, "auto")
        index = await cluster.open_index(index_name)
        kept = 0
        for vector in QUERY_VECTORS:
            best = {doc_id: pairs[0][0] for doc_id, pairs in cosines(DOCUMENTS, vector).items()}
            nearest = sorted(best, key=lambda doc_id: -best[doc_id])[:10]
            hits = await dense(index, vector, depth=10)
            kept += len(set(nearest) & set(ids(hits)))

        assert kept >= 0.8 * 10 * len(
            QUERY_VECTORS
        )  # 16 random dimensions are hard to quantise; e2e measures real ones

    @on_store
    async def test_ties_are_broken_by_the_id_every_time(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        vector = unit_vectors(NUMBERS, 1)
        names = [str(number) for number in range(1, 25)]
        await write(index, *(make_document(doc_id, ["the same text"], vector, title="same") for doc_id in names))
        runs = [
            (
                ids(await dense(index, vector[0])),
                ids(await lexical(index, "text")),
                ids(await dense(index, QUERY_VECTORS[0])),
            )
            for _ in range(3)
        ]

        assert all(ranked == sorted(names) for run in runs for ranked in run)
