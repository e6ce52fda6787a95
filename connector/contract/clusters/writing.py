"""What is written comes back, replaced and removed as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.clusters.protocol import Cluster, Index
from connector.contract.clusters.store import (
    DOCUMENTS,
    NEAR,
    NUMBERS,
    QUERY_VECTORS,
    TIMEOUT_S,
    StoreContract,
    dense,
    ids,
    lexical,
    on_store,
    scores,
    write,
)
from connector.contract.synthetic import make_document, schema, unit_vectors
from connector.errors import IndexGone, IndexMissing
from connector.lexical import LexicalQuery
from connector.settings.sections import ClusterSettings
from connector.text import normalise_text


class WritingContract(StoreContract):
    @on_store
    async def test_a_document_comes_back_with_every_value(self, index: Index) -> None:
        fetched = await index.get([indexed.document.doc_id for indexed in DOCUMENTS], fields=None, timeout_s=TIMEOUT_S)

        assert fetched == {indexed.document.doc_id: dict(indexed.document.fields) for indexed in DOCUMENTS}

    @pytest.mark.parametrize(
        "spelling", ["hyper\u00adbaric", "mu\u0308hle", "gyro\u200bscope", "theodo\u200clite", "oﬃce"]
    )
    @on_store
    async def test_a_word_in_another_spelling_is_found_and_shown_as_the_source_had_it(
        self, cluster: Cluster, index_name: str, spelling: str
    ) -> None:
        index = await cluster.create_index(index_name, schema())
        asked, vector = normalise_text(spelling), unit_vectors(NUMBERS, 1)
        other = make_document("other", ["nothing of it"], vector)
        await write(index, make_document("a", [f"the {spelling} of old"], vector, tier=spelling), other)

        hits = await lexical(index, asked)
        fetched = await index.get(["a"], fields=None, timeout_s=TIMEOUT_S)
        named = await index.get(["a"], fields=["text"], timeout_s=TIMEOUT_S)
        contents = await index.content(["a"], query=asked, vector=None, timeout_s=TIMEOUT_S)
        statistics = await index.term_statistics(asked, timeout_s=TIMEOUT_S)

        assert ids(hits) == ["a"]
        assert fetched == {"a": {"title": "a", "text": f"the {spelling} of old", "tier": spelling}}
        assert named == {"a": {"text": f"the {spelling} of old"}}
        assert contents["a"].fields == fetched["a"]
        assert [term.frequency for term in statistics.terms] == [1]

    @on_store
    async def test_only_what_is_asked_for_comes_back(self, index: Index) -> None:
        first, second = DOCUMENTS[0].document, DOCUMENTS[1].document
        fetched = await index.get([first.doc_id, "nobody", second.doc_id], fields=["content_hash"], timeout_s=TIMEOUT_S)
        nothing = await index.get([], fields=None, timeout_s=TIMEOUT_S)

        assert fetched == {doc_id: {"content_hash": f"hash of {doc_id}"} for doc_id in (first.doc_id, second.doc_id)}
        assert nothing == {}

    @on_store
    async def test_what_is_shown_of_a_hit_is_its_fields_and_the_passages_that_the_legs_find(self, index: Index) -> None:
        vector, words = QUERY_VECTORS[0], "report passage2 only4x1"
        near = {hit.doc_id: hit.passages[0] for hit in await dense(index, vector)}
        match = {hit.doc_id: hit.passages[0] for hit in await lexical(index, words) if hit.passages}
        fields = {indexed.document.doc_id: dict(indexed.document.fields) for indexed in DOCUMENTS}
        firsts = {indexed.document.doc_id: indexed.passages[0] for indexed in DOCUMENTS if indexed.passages}
        asked = [*fields][:40]

        contents = await index.content([*asked, "nobody"], query=words, vector=vector, timeout_s=TIMEOUT_S)
        wordless = await index.content(asked, query="...", vector=None, timeout_s=TIMEOUT_S)
        without_words = await index.content(asked, query=None, vector=vector, timeout_s=TIMEOUT_S)

        assert {doc_id: content.fields for doc_id, content in contents.items()} == {
            doc_id: fields[doc_id] for doc_id in asked
        }
        assert [contents[doc_id].nearest for doc_id in asked] == [near.get(doc_id) for doc_id in asked]
        assert [contents[doc_id].matching for doc_id in asked] == [match.get(doc_id) for doc_id in asked]
        assert any(near.get(doc_id) for doc_id in asked)
        assert any(match.get(doc_id) for doc_id in asked)
        assert {content.nearest for content in wordless.values()} == {None}
        assert [wordless[doc_id].matching for doc_id in asked] == [firsts.get(doc_id) for doc_id in asked]
        assert wordless.keys() == set(asked)
        assert [without_words[doc_id].nearest for doc_id in asked] == [near.get(doc_id) for doc_id in asked]
        assert {content.matching for content in without_words.values()} == {None}
        assert await index.content([], query=words, vector=vector, timeout_s=TIMEOUT_S) == {}

    @on_store
    async def test_legs_rank_the_same_with_and_without_passages(self, index: Index) -> None:
        vector, words = QUERY_VECTORS[1], "report passage2 only4x1"
        bare = await index.dense(vector, depth=20, filter=None, timeout_s=TIMEOUT_S, passages=0)
        asked = LexicalQuery(words)
        bare_lexical = (await index.lexical(asked, depth=20, filter=None, timeout_s=TIMEOUT_S, passages=0)).ranking

        assert scores(bare) == scores(await dense(index, vector, depth=20))
        assert scores(bare_lexical) == scores(await lexical(index, words, depth=20))
        assert bare
        assert bare_lexical
        assert not any(hit.passages for hit in (*bare, *bare_lexical))

    @on_store
    async def test_a_document_is_replaced_with_all_its_passages(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        index = await cluster.create_index(index_name, schema(vectors=self.exact_vectors(store)))
        old, new = unit_vectors(NUMBERS, 4), unit_vectors(NUMBERS, 1)
        other = make_document("b", ["other"], unit_vectors(NUMBERS, 1), tier="silver")
        await write(index, make_document("a", [f"ancient{at}" for at in range(4)], old, tier="gold", number=1), other)
        await write(index, replace(make_document("a", ["modern"], new, tier="silver"), content_hash="new"))

        hits = {hit.doc_id: hit for hit in await dense(index, old[3])}
        assert hits["a"].score == pytest.approx(float(new[0] @ old[3]), abs=NEAR)  # not 1.0: the old passage is gone
        assert [passage.text for passage in hits["a"].passages] == ["modern"]
        assert ids(await lexical(index, "ancient2")) == []
        assert ids(await lexical(index, "modern")) == ["a"]
        assert (await index.get(["a"], fields=None, timeout_s=TIMEOUT_S))["a"] == {
            "title": "a",
            "text": "modern",
            "tier": "silver",
        }
        assert ids(await dense(index, old[0], found="tier=gold")) == []
        assert await cluster.count(index_name) == 2

    @on_store
    async def test_removing_takes_the_passages_along_and_what_is_not_there_is_no_error(
        self, cluster: Cluster, index_name: str
    ) -> None:
        index = await cluster.create_index(index_name, schema())
        await write(index, *DOCUMENTS[:20])
        gone = [indexed.document.doc_id for indexed in DOCUMENTS[:5]]
        outcomes = await index.remove([*gone, "nobody"])
        await index.finish()

        assert [outcome.doc_id for outcome in outcomes] == [*gone, "nobody"]
        assert not [outcome.error for outcome in outcomes if outcome.error]
        assert await cluster.count(index_name) == 15
        assert not set(gone) & set(ids(await dense(index, QUERY_VECTORS[0])))
        assert not set(gone) & set(ids(await lexical(index, "document")))
        assert await index.write([]) == []
        assert await index.remove([]) == []

    @on_store
    async def test_an_index_that_was_dropped_is_not_made_by_a_write(self, cluster: Cluster, index_name: str) -> None:
        never, index = await cluster.create_index(index_name, schema()), await cluster.open_index(index_name)
        await write(index, DOCUMENTS[0])
        await cluster.drop_index(index_name)
        for handle in (index, never):
            with pytest.raises(IndexGone, match="run this again"):
                await handle.write(DOCUMENTS[:2])
            with pytest.raises(IndexGone, match="run this again"):
                await handle.remove([DOCUMENTS[0].document.doc_id])

        with pytest.raises(IndexMissing):
            await cluster.open_index(index_name)

    @on_store
    async def test_scan_gives_each_document_once_over_many_pages(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        vector = unit_vectors(NUMBERS, 1)
        await write(index, *(make_document(f"ü/{at}", ["text"], vector) for at in range(2_100)))
        scanned = [pair async for pair in index.scan()]

        assert len(scanned) == 2_100
        assert dict(scanned) == {f"ü/{at}": f"hash of ü/{at}" for at in range(2_100)}

    @on_store
    async def test_scan_of_an_empty_index_gives_nothing(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())

        assert [pair async for pair in index.scan()] == []
