"""Words are counted in documents."""

from __future__ import annotations

from connector.clusters.protocol import Cluster, Index
from connector.contract.clusters.store import NUMBERS, TIMEOUT_S, StoreContract, on_store, write
from connector.contract.synthetic import COUNT, make_document, schema, unit_vectors


class TermStatisticsContract(StoreContract):
    @on_store
    async def test_words_are_counted_in_documents(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        texts = ["refund refund policies", "the refund of a lamp", "policy", "lamps", "something else"]
        vectors = unit_vectors(NUMBERS, len(texts))
        await write(index, *(make_document(str(at), [text], vectors[at : at + 1], title="Note")
                             for at, text in enumerate(texts)))  # fmt: skip
        query = "the Refunds of policy, zebra"
        found = await index.term_statistics(query, timeout_s=TIMEOUT_S)

        assert found.documents == 5
        assert {query[term.start : term.end]: term.frequency for term in found.terms} == {
            "Refunds": 2,
            "policy": 2,
            "zebra": 0,
        }

    @on_store
    async def test_spans_count_characters(self, index: Index) -> None:
        query = "🙂🙂 Größe 日本 document naïve"
        found = await index.term_statistics(query, timeout_s=TIMEOUT_S)
        spans = {query[term.start : term.end]: term.frequency for term in found.terms}

        assert spans["document"] == COUNT
        assert spans["Größe"] == 0
        assert "naïve" in spans

    @on_store
    async def test_an_empty_index_knows_nothing(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        found = await index.term_statistics("refund", timeout_s=TIMEOUT_S)

        assert found.documents == 0
        assert all(term.frequency == 0 for term in found.terms)
