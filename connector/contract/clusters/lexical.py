"""The lexical leg ranks by words, and its answers bring passages and totals."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.protocol import Cluster, Index
from connector.contract.clusters.store import (
    ALL,
    DOCUMENTS,
    NUMBERS,
    TIMEOUT_S,
    StoreContract,
    ids,
    lexical,
    on_store,
    write,
)
from connector.contract.synthetic import COUNT, make_document, matches, schema, unit_vectors
from connector.errors import QueryError
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalAnswer, LexicalPage, LexicalQuery, PageRequest
from connector.types import Total


class LexicalContract(StoreContract):
    @on_store
    async def test_the_passage_that_holds_the_words_comes_along(self, index: Index) -> None:
        for at in range(0, COUNT, 37):
            indexed = DOCUMENTS[at]
            for passage in indexed.passages:
                hits = await lexical(index, f"only{at}x{passage.ordinal}")

                assert ids(hits) == [indexed.document.doc_id]
                assert hits[0].passages == (passage,)

    @on_store
    async def test_what_was_found_by_its_title_alone_comes_with_its_first_passage(self, index: Index) -> None:
        """So that it can be reranked: it has a text, though no passage holds the word."""
        several = next(indexed for indexed in DOCUMENTS if len(indexed.passages) > 1)
        none = next(indexed for indexed in DOCUMENTS if not indexed.passages)
        titles = [str(indexed.document.fields["title"]).removeprefix("Report ") for indexed in (several, none)]
        (hit,), (bare,) = [await lexical(index, title) for title in titles]

        assert (hit.doc_id, hit.passages) == (several.document.doc_id, several.passages[:1])
        assert (bare.doc_id, bare.passages) == (none.document.doc_id, ())

    @on_store
    async def test_every_hit_with_a_passage_brings_one_and_the_best_where_one_matches(self, index: Index) -> None:
        wanted = {indexed.document.doc_id: indexed.passages for indexed in DOCUMENTS}
        hits = await lexical(index, "report passage2")

        assert len(hits) == COUNT
        for hit in hits:
            passages = wanted[hit.doc_id]
            best = passages[2:3] or passages[:1]  # "passage2" is a word of the third
            assert hit.passages == best

    @on_store
    async def test_scores_fall_and_the_depth_is_kept(self, index: Index) -> None:
        hits = await lexical(index, "passage1 document only7x0", depth=25)
        scores = [hit.score for hit in hits]

        assert len(hits) == 25
        assert len(set(ids(hits))) == 25
        assert scores == sorted(scores, reverse=True)
        assert min(scores) > 0

    @on_store
    async def test_rare_words_boosts_and_word_forms_count(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        texts = {
            "often": "refund refund policy for hardware, a long text about many other things, returns and boxes",
            "rare": "policy for a krypton lamp",
            "titled": "something else entirely",
            "other": "the policies of shipping",
        }
        vectors = unit_vectors(NUMBERS, len(texts))
        titles = {"titled": "Refunds"}
        await write(index, *(make_document(doc_id, [text], vectors[at : at + 1], title=titles.get(doc_id, "Note"))
                             for at, (doc_id, text) in enumerate(texts.items())))  # fmt: skip

        assert ids(await lexical(index, "policy krypton"))[0] == "rare"
        assert set(ids(await lexical(index, "POLICY"))) == {"often", "rare", "other"}
        assert ids(await lexical(index, "refund"))[0] == "titled"
        assert ids(await lexical(index, "zebra")) == []

    @on_store
    async def test_a_boost_decides_where_all_else_is_equal(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())  # title counts twice
        vectors = unit_vectors(NUMBERS, 2)
        await write(
            index,
            make_document("a", ["krypton lamp"], vectors[:1], title="something else"),
            make_document("b", ["something else"], vectors[1:], title="krypton lamp"),
        )

        assert ids(await lexical(index, "krypton")) == ["b", "a"]
        assert ids(await lexical(index, "something")) == ["a", "b"]

    @pytest.mark.parametrize("query", ["the of and", "!!! ... ???", "🙂"])
    @on_store
    async def test_a_query_without_a_word_finds_nothing(self, index: Index, query: str) -> None:
        assert await lexical(index, query) == ()

    @pytest.mark.parametrize(
        "query",
        ['title: document AND (only7x0 OR "', "document* /only.*/ ~2 ^3", "document\\ && -only7x0", "{document}'"],
    )
    @on_store
    async def test_a_query_is_words_and_no_syntax(self, index: Index, query: str) -> None:
        assert len(await lexical(index, query)) == COUNT

    @on_store
    async def test_the_longest_query_is_answered(self, index: Index) -> None:
        query = "document " + " ".join(f"w{number}" for number in range(3_000))
        ideographs = "document " + "".join(chr(0x4E00 + number) for number in range(3_000))

        assert 15_000 < len(query) < 20_000
        assert len(await lexical(index, query)) == COUNT
        assert len(await lexical(index, ideographs)) == COUNT


class LexicalPageContract(StoreContract):
    @on_store
    async def test_the_query_may_name_fields_and_boosts_of_its_own(self, index: Index) -> None:
        titles = LexicalQuery("report passage1 title7", fields={"title": 3.0})
        options: dict[str, Any] = {"depth": ALL, "filter": None, "timeout_s": TIMEOUT_S}
        found = (await index.lexical(titles, **options)).ranking
        usual = {hit.doc_id: hit.score for hit in await lexical(index, "report title7")}
        nothing = (await index.lexical(LexicalQuery("passage1", fields={"title": 1.0}), **options)).ranking

        assert found[0].doc_id == DOCUMENTS[7].document.doc_id
        assert {hit.doc_id: hit.score for hit in found} == pytest.approx(
            {doc_id: score * 1.5 for doc_id, score in usual.items()}, rel=1e-4
        )
        assert nothing == ()

    @on_store
    async def test_a_field_that_the_index_lacks_is_named_with_those_it_has(self, index: Index) -> None:
        asked = LexicalQuery("report", fields={"headline": 1.0})

        with pytest.raises(QueryError, match="no text field 'headline'; it has: title, text"):
            index.check_lexical(asked)
        with pytest.raises(QueryError, match="no text field 'headline'"):
            await index.lexical(asked, depth=3, filter=None, timeout_s=TIMEOUT_S)

    @pytest.mark.parametrize("found", [None, "tier=gold"])
    @on_store
    async def test_the_total_counts_what_matches_beyond_the_depth(self, index: Index, found: Any) -> None:
        matching = sum(
            found is None or matches({"term": {"tier": "gold"}}, indexed.document.fields) for indexed in DOCUMENTS
        )
        one_word = LexicalQuery("document only7x0")
        options: dict[str, Any] = {
            "depth": 3,
            "filter": check_filter(parse_filter(found), index.schema.fields.metadata),
            "timeout_s": TIMEOUT_S,
        }
        counted = await index.lexical(one_word, **options, page=PageRequest())
        uncounted = await index.lexical(one_word, **options, page=PageRequest(total=False))
        without = await index.lexical(one_word, **options)
        nothing = await index.lexical(LexicalQuery("zebra"), **options, page=PageRequest())

        assert counted.page == LexicalPage(Total(matching, "eq"))
        assert counted.ranking == uncounted.ranking == without.ranking
        assert len(counted.ranking) == 3
        assert uncounted.page == LexicalPage(None)
        assert without.page is None
        assert nothing == LexicalAnswer((), LexicalPage(Total(0)))

    @on_store
    async def test_a_total_may_be_counted_up_to_a_number(self, index: Index) -> None:
        up_to = PageRequest(total=10)
        answer = await index.lexical(LexicalQuery("document"), depth=3, filter=None, timeout_s=TIMEOUT_S, page=up_to)

        assert answer.page
        assert answer.page.total
        assert answer.page.total.relation == "gte"
        assert 10 <= answer.page.total.value <= COUNT
