"""A filter holds for all legs, exactly."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.protocol import Index
from connector.contract.clusters.store import DOCUMENTS, QUERY_VECTORS, StoreContract, dense, ids, lexical, on_store
from connector.contract.synthetic import COUNT, FILTERS, describe, matches
from connector.errors import FilterError
from connector.filters import parse_filter


class FiltersContract(StoreContract):
    @pytest.mark.parametrize("found", FILTERS, ids=describe)
    @on_store
    async def test_both_legs_give_exactly_what_matches(self, index: Index, found: Any) -> None:
        matching = {indexed.document.doc_id for indexed in DOCUMENTS if matches(found, indexed.document.fields)}
        with_passages = {indexed.document.doc_id for indexed in DOCUMENTS if indexed.passages} & matching
        by_words = ids(await lexical(index, "document", found=found))
        by_vector = ids(await dense(index, QUERY_VECTORS[0], found=found))

        assert set(by_words) == matching
        assert set(by_vector) == with_passages
        assert len(by_words) == len(matching)
        assert len(by_vector) == len(with_passages)

    def test_the_filters_tell_documents_apart(self) -> None:
        counts = [sum(matches(found, indexed.document.fields) for indexed in DOCUMENTS) for found in FILTERS]

        assert sum(0 < count < COUNT for count in counts) >= len(FILTERS) - 4

    @on_store
    async def test_a_long_list_of_values_is_taken(self, index: Index) -> None:
        found = {"terms": {"tier": ["gold", *(f"value {at}" for at in range(5_000))]}}
        expected = {indexed.document.doc_id for indexed in DOCUMENTS if indexed.document.fields.get("tier") == "gold"}

        assert set(ids(await lexical(index, "document", found=found))) == expected

    @on_store
    async def test_a_filter_as_deep_as_is_read_is_taken(self, index: Index) -> None:
        found: Any = {"terms": {"date": ["2024-01-15", "2024-01-16T00:00:00Z"]}}
        while True:
            deeper = {"not": {"and": [found, "number>=-10000000000000"]}}
            try:
                parse_filter(deeper)
            except FilterError:
                break
            found = deeper
        matching = {indexed.document.doc_id for indexed in DOCUMENTS if matches(found, indexed.document.fields)}
        with_passages = {indexed.document.doc_id for indexed in DOCUMENTS if indexed.passages} & matching

        assert set(ids(await lexical(index, "document", found=found))) == matching
        assert set(ids(await dense(index, QUERY_VECTORS[0], found=found))) == with_passages
        assert 0 < len(matching) < COUNT

    @on_store
    async def test_a_filter_is_applied_before_the_depth_is_cut(self, index: Index) -> None:
        found = {"term": {"tier": "日本語"}}
        expected = sum(matches(found, indexed.document.fields) and bool(indexed.passages) for indexed in DOCUMENTS)
        wanted = min(expected, 5)

        assert wanted > 3
        assert len(await dense(index, QUERY_VECTORS[1], depth=wanted, found=found)) == wanted
        assert len(await lexical(index, "document", depth=wanted, found=found)) == wanted
