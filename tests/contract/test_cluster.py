"""What every store promises (connector/clusters/protocol.py): one class of tests, run on all five."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.scratch import drop, unique_name
from support.synthetic import (
    COUNT,
    DIMS,
    FILTERS,
    cosines,
    describe,
    make_document,
    make_documents,
    matches,
    schema,
    unit_vectors,
)

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, Index
from connector.errors import ClusterError, FilterError, IndexMissing, QueryError, SettingsError
from connector.filters import check_filter, parse_filter
from connector.lexical import LexicalAnswer, LexicalPage, LexicalQuery, PageRequest
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.settings.sections import ClusterSettings
from connector.text import normalise_text
from connector.types import IndexedDocument, Ranking, Total, Vector

TIMEOUT_S = 30.0
ALL = 1_000  # a depth beyond the corpus
DOCUMENTS = make_documents()
NUMBERS = np.random.default_rng(11)
QUERY_VECTORS = unit_vectors(NUMBERS, 8)
NEAR = 1e-4  # what single precision and the engines' own scale may move a cosine


def ids(ranking: Ranking) -> list[str]:
    return [hit.doc_id for hit in ranking]


def scores(ranking: Ranking) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in ranking]


async def lexical(index: Index, query: str, *, depth: int = ALL, found: Any = None) -> Ranking:
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    return (await index.lexical(LexicalQuery(query), depth=depth, filter=checked, timeout_s=TIMEOUT_S)).ranking


async def dense(index: Index, vector: Vector, *, depth: int = ALL, found: Any = None, passages: int = 1) -> Ranking:
    checked = check_filter(parse_filter(found), index.schema.fields.metadata)
    return await index.dense(vector, depth=depth, filter=checked, timeout_s=TIMEOUT_S, passages=passages)


async def write(index: Index, *documents: IndexedDocument) -> None:
    fates = await index.write(documents)
    await index.finish()

    assert [fate.doc_id for fate in fates] == [one.document.doc_id for one in documents]
    assert all(fate.error is None for fate in fates), fates


def exact(settings: ClusterSettings) -> str:
    """The vector index of a store that does not quantise."""
    return "auto" if settings.url.startswith("embedded") else "hnsw"


@pytest.fixture(scope="module")
def filled(store: ClusterSettings) -> Iterator[str]:
    """An index of the synthetic documents, made once for each store; tests only read it."""
    name = unique_name()
    asyncio.run(_fill(store, name, exact(store)))
    yield name
    asyncio.run(drop(store, name))


async def _fill(settings: ClusterSettings, name: str, vectors: str) -> None:
    cluster = await connect(settings)
    try:
        await write(await cluster.create_index(name, schema(vectors=vectors)), *DOCUMENTS)
    finally:
        await cluster.close()


@pytest.fixture
async def index(cluster: Cluster, filled: str) -> Index:
    return await cluster.open_index(filled)


class TestIndices:
    async def test_an_index_is_made_found_counted_and_dropped(self, cluster: Cluster, index_name: str) -> None:
        await cluster.create_index(index_name, schema())
        empty = await cluster.count(index_name)
        opened = await cluster.open_index(index_name)
        await write(opened, *DOCUMENTS[:12])
        counted = await cluster.count(index_name)
        await cluster.drop_index(index_name)

        assert (empty, counted) == (0, 12)
        with pytest.raises(IndexMissing):
            await cluster.open_index(index_name)

    async def test_a_second_index_of_that_name_is_refused_and_the_first_kept(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await write(await cluster.create_index(index_name, schema()), DOCUMENTS[0])

        with pytest.raises(ClusterError, match="exists already; ingest into it as it is"):
            await cluster.create_index(index_name, schema())
        assert await cluster.count(index_name) == 1

    async def test_a_mistyped_name_is_answered_with_the_one_that_is_there(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await cluster.create_index(index_name, schema())

        for mistyped in (f"{index_name}s", index_name.upper()):
            with pytest.raises(IndexMissing, match=f"did you mean '{index_name}'\\?$") as caught:
                await cluster.open_index(mistyped)
            assert caught.value.near == index_name

    @pytest.mark.parametrize("action", ["open_index", "drop_index", "count"])
    async def test_an_index_that_is_missing_is_named_with_what_makes_it(self, cluster: Cluster, action: str) -> None:
        with pytest.raises(
            IndexMissing, match=r"no index 'test-nowhere' at .*; create it with: connector index create"
        ):
            await getattr(cluster, action)("test-nowhere")

    @pytest.mark.parametrize("name", ["passages", "content_hash", "unit", "doc_id", "_own", "a.b", " "])
    async def test_a_field_name_that_is_taken_is_refused(self, cluster: Cluster, index_name: str, name: str) -> None:
        with pytest.raises(SettingsError, match="cannot be called"):
            await cluster.create_index(index_name, replace(schema(), fields=Fields({"text": 1.0}, {name: "keyword"})))
        with pytest.raises(SettingsError, match="cannot be called"):
            await cluster.create_index(index_name, replace(schema(), fields=Fields({name: 1.0})))
        with pytest.raises(IndexMissing):
            await cluster.open_index(index_name)

    async def test_a_vector_index_that_the_engine_lacks_is_refused(self, cluster: Cluster, index_name: str) -> None:
        with pytest.raises(SettingsError, match="no vector index 'magic'"):
            await cluster.create_index(index_name, schema(vectors="magic"))

    @pytest.mark.parametrize("name", ["with/slash", "with space", "", "with,comma"])
    async def test_a_name_that_no_index_can_have_is_refused(self, cluster: Cluster, name: str) -> None:
        with pytest.raises((ClusterError, SettingsError)):
            await cluster.create_index(name, schema())

    async def test_a_pattern_drops_nothing(self, cluster: Cluster, index_name: str) -> None:
        await write(await cluster.create_index(index_name, schema()), DOCUMENTS[0])

        for pattern in (f"{index_name[:-2]}*", f"{index_name},{index_name}"):
            with pytest.raises((ClusterError, SettingsError)):
                await cluster.drop_index(pattern)
        assert await cluster.count(index_name) == 1

    async def test_the_schema_is_read_back_as_it_was(self, cluster: Cluster, index_name: str) -> None:
        names = ["zulu", "alpha", "mike", "bravo", "yankee", "charlie", "x1", "delta", "whisky"]
        fields = Fields(
            {name: 1.0 + at / 4 for at, name in enumerate(names)}, {"n": "integer", "a": "keyword[]"}, "sku"
        )
        made = IndexSchema(
            fields,
            EncoderFingerprint("ünï/encoder", "f00", DIMS, 384, normalised=True),
            analyzer="german",
            passages=PassageSettings(128, 16),
            vectors=VectorSettings("auto", 24, 200),
            dims=DIMS,
        )
        await cluster.create_index(index_name, made)
        opened = (await cluster.open_index(index_name)).schema

        assert opened == made
        assert list(opened.fields.text) == names  # their order is the order of reading


class TestIndexOfAnEarlierVersion:
    async def test_it_is_written_and_searched_though_its_documents_keep_no_ids_as_values(
        self, cluster: Cluster, index_name: str
    ) -> None:
        await cluster.create_index(index_name, replace(schema(), keeps_ids=False, keeps_original_text=False))
        older = await cluster.open_index(index_name)
        await write(older, *DOCUMENTS[:12])
        found = await dense(older, QUERY_VECTORS[0])

        assert {hit.doc_id for hit in found} == {one.document.doc_id for one in DOCUMENTS[:12] if one.passages}
        assert all(hit.passages for hit in found)
        assert await lexical(older, "report")


class TestWriting:
    async def test_a_document_comes_back_with_every_value(self, index: Index) -> None:
        got = await index.get([one.document.doc_id for one in DOCUMENTS], fields=None, timeout_s=TIMEOUT_S)

        assert got == {one.document.doc_id: dict(one.document.fields) for one in DOCUMENTS}

    @pytest.mark.parametrize(
        "spelling", ["hyper\u00adbaric", "mu\u0308hle", "gyro\u200bscope", "theodo\u200clite", "oﬃce"]
    )
    async def test_a_word_in_another_spelling_is_found_and_shown_as_the_source_had_it(
        self, cluster: Cluster, index_name: str, spelling: str
    ) -> None:
        index = await cluster.create_index(index_name, schema())
        asked, vector = normalise_text(spelling), unit_vectors(NUMBERS, 1)
        other = make_document("other", ["nothing of it"], vector)
        await write(index, make_document("a", [f"the {spelling} of old"], vector, tier=spelling), other)

        hits = await lexical(index, asked)
        got = await index.get(["a"], fields=None, timeout_s=TIMEOUT_S)
        named = await index.get(["a"], fields=["text"], timeout_s=TIMEOUT_S)
        shown = await index.content(["a"], query=asked, vector=None, timeout_s=TIMEOUT_S)
        statistics = await index.term_statistics(asked, timeout_s=TIMEOUT_S)

        assert ids(hits) == ["a"]
        assert got == {"a": {"title": "a", "text": f"the {spelling} of old", "tier": spelling}}
        assert named == {"a": {"text": f"the {spelling} of old"}}
        assert shown["a"].fields == got["a"]
        assert [term.frequency for term in statistics.terms] == [1]

    async def test_only_what_is_asked_for_comes_back(self, index: Index) -> None:
        first, second = DOCUMENTS[0].document, DOCUMENTS[1].document
        got = await index.get([first.doc_id, "nobody", second.doc_id], fields=["content_hash"], timeout_s=TIMEOUT_S)
        nothing = await index.get([], fields=None, timeout_s=TIMEOUT_S)

        assert got == {one: {"content_hash": f"hash of {one}"} for one in (first.doc_id, second.doc_id)}
        assert nothing == {}

    async def test_what_is_shown_of_a_hit_is_its_fields_and_the_passages_that_the_legs_find(self, index: Index) -> None:
        vector, words = QUERY_VECTORS[0], "report passage2 only4x1"
        near = {hit.doc_id: hit.passages[0] for hit in await dense(index, vector)}
        match = {hit.doc_id: hit.passages[0] for hit in await lexical(index, words) if hit.passages}
        fields = {one.document.doc_id: dict(one.document.fields) for one in DOCUMENTS}
        firsts = {one.document.doc_id: one.passages[0] for one in DOCUMENTS if one.passages}
        asked = [*fields][:40]

        shown = await index.content([*asked, "nobody"], query=words, vector=vector, timeout_s=TIMEOUT_S)
        wordless = await index.content(asked, query="...", vector=None, timeout_s=TIMEOUT_S)
        without_words = await index.content(asked, query=None, vector=vector, timeout_s=TIMEOUT_S)

        assert {doc_id: one.fields for doc_id, one in shown.items()} == {one: fields[one] for one in asked}
        assert [shown[one].nearest for one in asked] == [near.get(one) for one in asked]
        assert [shown[one].matching for one in asked] == [match.get(one) for one in asked]
        assert any(near.get(one) for one in asked)
        assert any(match.get(one) for one in asked)
        assert {one.nearest for one in wordless.values()} == {None}
        assert [wordless[one].matching for one in asked] == [firsts.get(one) for one in asked]
        assert wordless.keys() == set(asked)
        assert [without_words[one].nearest for one in asked] == [near.get(one) for one in asked]
        assert {one.matching for one in without_words.values()} == {None}
        assert await index.content([], query=words, vector=vector, timeout_s=TIMEOUT_S) == {}

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

    async def test_a_document_is_replaced_with_all_its_passages(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        index = await cluster.create_index(index_name, schema(vectors=exact(store)))
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

    async def test_removing_takes_the_passages_along_and_what_is_not_there_is_no_error(
        self, cluster: Cluster, index_name: str
    ) -> None:
        index = await cluster.create_index(index_name, schema())
        await write(index, *DOCUMENTS[:20])
        gone = [one.document.doc_id for one in DOCUMENTS[:5]]
        fates = await index.remove([*gone, "nobody"])
        await index.finish()

        assert [(fate.doc_id, fate.error) for fate in fates] == [(doc_id, None) for doc_id in [*gone, "nobody"]]
        assert await cluster.count(index_name) == 15
        assert not set(gone) & set(ids(await dense(index, QUERY_VECTORS[0])))
        assert not set(gone) & set(ids(await lexical(index, "document")))
        assert await index.write([]) == []
        assert await index.remove([]) == []

    async def test_scan_gives_each_document_once_over_many_pages(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        vector = unit_vectors(NUMBERS, 1)
        await write(index, *(make_document(f"ü/{at}", ["text"], vector) for at in range(2_100)))
        scanned = [pair async for pair in index.scan()]

        assert len(scanned) == 2_100
        assert dict(scanned) == {f"ü/{at}": f"hash of ü/{at}" for at in range(2_100)}

    async def test_scan_of_an_empty_index_gives_nothing(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())

        assert [pair async for pair in index.scan()] == []


class TestFilters:
    @pytest.mark.parametrize("found", FILTERS, ids=describe)
    async def test_both_legs_give_exactly_what_matches(self, index: Index, found: Any) -> None:
        matching = {one.document.doc_id for one in DOCUMENTS if matches(found, one.document.fields)}
        with_passages = {one.document.doc_id for one in DOCUMENTS if one.passages} & matching
        by_words = ids(await lexical(index, "document", found=found))
        by_vector = ids(await dense(index, QUERY_VECTORS[0], found=found))

        assert set(by_words) == matching
        assert set(by_vector) == with_passages
        assert len(by_words) == len(matching)
        assert len(by_vector) == len(with_passages)

    def test_the_filters_tell_documents_apart(self) -> None:
        counts = [sum(matches(found, one.document.fields) for one in DOCUMENTS) for found in FILTERS]

        assert sum(0 < count < COUNT for count in counts) >= len(FILTERS) - 4

    async def test_a_long_list_of_values_is_taken(self, index: Index) -> None:
        found = {"terms": {"tier": ["gold", *(f"value {at}" for at in range(5_000))]}}
        expected = {one.document.doc_id for one in DOCUMENTS if one.document.fields.get("tier") == "gold"}

        assert set(ids(await lexical(index, "document", found=found))) == expected

    async def test_a_filter_as_deep_as_is_read_is_taken(self, index: Index) -> None:
        found: Any = {"terms": {"date": ["2024-01-15", "2024-01-16T00:00:00Z"]}}
        while True:
            deeper = {"not": {"and": [found, "number>=-10000000000000"]}}
            try:
                parse_filter(deeper)
            except FilterError:
                break
            found = deeper
        matching = {one.document.doc_id for one in DOCUMENTS if matches(found, one.document.fields)}
        with_passages = {one.document.doc_id for one in DOCUMENTS if one.passages} & matching

        assert set(ids(await lexical(index, "document", found=found))) == matching
        assert set(ids(await dense(index, QUERY_VECTORS[0], found=found))) == with_passages
        assert 0 < len(matching) < COUNT

    async def test_a_filter_is_applied_before_the_depth_is_cut(self, index: Index) -> None:
        found = {"term": {"tier": "日本語"}}
        expected = sum(matches(found, one.document.fields) and bool(one.passages) for one in DOCUMENTS)
        wanted = min(expected, 5)

        assert wanted > 3
        assert len(await dense(index, QUERY_VECTORS[1], depth=wanted, found=found)) == wanted
        assert len(await lexical(index, "document", depth=wanted, found=found)) == wanted


class TestDense:
    @pytest.mark.parametrize("number", range(len(QUERY_VECTORS)))
    async def test_the_ranking_is_that_of_exact_cosines(self, index: Index, number: int) -> None:
        vector = QUERY_VECTORS[number]

        _assert_exact(await dense(index, vector), vector, depth=ALL)
        _assert_exact(await dense(index, vector, depth=10), vector, depth=10)

    @pytest.mark.parametrize("passages", [2, 3, 4])
    async def test_as_many_of_the_nearest_passages_come_along_as_asked(self, index: Index, passages: int) -> None:
        vector = QUERY_VECTORS[0]

        _assert_exact(await dense(index, vector, passages=passages), vector, depth=ALL, passages=passages)
        _assert_exact(await dense(index, vector, depth=7, passages=passages), vector, depth=7, passages=passages)

    @pytest.mark.parametrize(
        "store", ["embedded", *(pytest.param(name, marks=pytest.mark.live) for name in ("es8", "es9"))], indirect=True
    )
    async def test_flat_vectors_are_searched_exactly_where_they_can_be_had(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        await _fill(store, index_name, "flat")
        index = await cluster.open_index(index_name)

        for vector in QUERY_VECTORS:
            _assert_exact(await dense(index, vector), vector, depth=ALL)

    async def test_the_default_vector_index_finds_nearly_the_same(
        self, store: ClusterSettings, cluster: Cluster, index_name: str
    ) -> None:
        await _fill(store, index_name, "auto")
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

        assert all(one == sorted(names) for run in runs for one in run)


class TestLexical:
    async def test_the_passage_that_holds_the_words_comes_along(self, index: Index) -> None:
        for at in range(0, COUNT, 37):
            one = DOCUMENTS[at]
            for passage in one.passages:
                hits = await lexical(index, f"only{at}x{passage.ordinal}")

                assert ids(hits) == [one.document.doc_id]
                assert hits[0].passages == (passage,)

    async def test_what_was_found_by_its_title_alone_comes_with_its_first_passage(self, index: Index) -> None:
        """So that it can be reranked: it has a text, though no passage holds the word."""
        several = next(one for one in DOCUMENTS if len(one.passages) > 1)
        none = next(one for one in DOCUMENTS if not one.passages)
        titles = [str(one.document.fields["title"]).removeprefix("Report ") for one in (several, none)]
        (hit,), (bare,) = [await lexical(index, title) for title in titles]

        assert (hit.doc_id, hit.passages) == (several.document.doc_id, several.passages[:1])
        assert (bare.doc_id, bare.passages) == (none.document.doc_id, ())

    async def test_every_hit_with_a_passage_brings_one_and_the_best_where_one_matches(self, index: Index) -> None:
        wanted = {one.document.doc_id: one.passages for one in DOCUMENTS}
        hits = await lexical(index, "report passage2")

        assert len(hits) == COUNT
        for hit in hits:
            passages = wanted[hit.doc_id]
            best = passages[2:3] or passages[:1]  # "passage2" is a word of the third
            assert hit.passages == best

    async def test_scores_fall_and_the_depth_is_kept(self, index: Index) -> None:
        hits = await lexical(index, "passage1 document only7x0", depth=25)
        scores = [hit.score for hit in hits]

        assert len(hits) == 25
        assert len(set(ids(hits))) == 25
        assert scores == sorted(scores, reverse=True)
        assert min(scores) > 0

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
    async def test_a_query_without_a_word_finds_nothing(self, index: Index, query: str) -> None:
        assert await lexical(index, query) == ()

    @pytest.mark.parametrize(
        "query",
        ['title: document AND (only7x0 OR "', "document* /only.*/ ~2 ^3", "document\\ && -only7x0", "{document}'"],
    )
    async def test_a_query_is_words_and_no_syntax(self, index: Index, query: str) -> None:
        assert len(await lexical(index, query)) == COUNT

    async def test_the_longest_query_is_answered(self, index: Index) -> None:
        query = "document " + " ".join(f"w{number}" for number in range(3_000))
        ideographs = "document " + "".join(chr(0x4E00 + number) for number in range(3_000))

        assert 15_000 < len(query) < 20_000
        assert len(await lexical(index, query)) == COUNT
        assert len(await lexical(index, ideographs)) == COUNT


class TestLexicalPage:
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

    async def test_a_field_that_the_index_lacks_is_named_with_those_it_has(self, index: Index) -> None:
        asked = LexicalQuery("report", fields={"headline": 1.0})

        with pytest.raises(QueryError, match="no text field 'headline'; it has: title, text"):
            index.check_lexical(asked)
        with pytest.raises(QueryError, match="no text field 'headline'"):
            await index.lexical(asked, depth=3, filter=None, timeout_s=TIMEOUT_S)

    @pytest.mark.parametrize("found", [None, "tier=gold"])
    async def test_the_total_counts_what_matches_beyond_the_depth(self, index: Index, found: Any) -> None:
        matching = sum(found is None or matches({"term": {"tier": "gold"}}, one.document.fields) for one in DOCUMENTS)
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

    async def test_a_total_may_be_counted_up_to_a_number(self, index: Index) -> None:
        up_to = PageRequest(total=10)
        answer = await index.lexical(LexicalQuery("document"), depth=3, filter=None, timeout_s=TIMEOUT_S, page=up_to)

        assert answer.page
        assert answer.page.total
        assert answer.page.total.relation == "gte"
        assert 10 <= answer.page.total.value <= COUNT


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


class TestTermStatistics:
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

    async def test_spans_count_characters(self, index: Index) -> None:
        query = "🙂🙂 Größe 日本 document naïve"
        found = await index.term_statistics(query, timeout_s=TIMEOUT_S)
        spans = {query[term.start : term.end]: term.frequency for term in found.terms}

        assert spans["document"] == COUNT
        assert spans["Größe"] == 0
        assert "naïve" in spans

    async def test_an_empty_index_knows_nothing(self, cluster: Cluster, index_name: str) -> None:
        index = await cluster.create_index(index_name, schema())
        found = await index.term_statistics("refund", timeout_s=TIMEOUT_S)

        assert found.documents == 0
        assert all(term.frequency == 0 for term in found.terms)


def _assert_exact(hits: Ranking, vector: Vector, *, depth: int, passages: int = 1) -> None:
    """The ranking, the scores and each hit's passages are those of exact cosines; equal ones may change places."""
    expected = cosines(DOCUMENTS, vector)
    best = {doc_id: pairs[0][0] for doc_id, pairs in expected.items()}
    ranked = sorted(best.values(), reverse=True)[:depth]

    assert len(set(ids(hits))) == len(hits) == len(ranked)
    for hit, score in zip(hits, ranked, strict=True):
        assert best[hit.doc_id] == pytest.approx(score, abs=NEAR / 10)
        assert hit.score == pytest.approx(score, abs=NEAR)
        nearest = [ordinal for _, ordinal in expected[hit.doc_id][:passages]]
        assert [passage.ordinal for passage in hit.passages] == nearest
        assert [passage.passage_id for passage in hit.passages] == [f"{hit.doc_id}#{at}" for at in nearest]
    assert list(hits) == sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))
