"""Vectors in an index of ours beside one that somebody else made and writes to, and searches over the two as one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.gateway.running_gateway import answering_gateway
from support.indices.backfills import WordEncoder, plan_for
from support.indices.besides import MAPPING, bulk, cluster_of, fill_beside, make_beside, put_all
from support.indices.followed_shops import AwayAtFirst
from support.indices.somebody import Somebody

from connector.backfill.beside.documents import ReadDocument, build_document
from connector.backfill.beside.filling import BesideCounts, BesideJob
from connector.backfill.fields import put_fields
from connector.backfill.in_place.job import BackfillJob
from connector.backfill.keeping_up.beside_follow import BesideFollower
from connector.backfill.keeping_up.lag import PassageLag
from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.vectors_index import copied_values, hash_texts
from connector.clusters.connect import connect
from connector.contract.synthetic import ENCODER as SYNTHETIC
from connector.contract.synthetic import FILTERS, cosines, make_documents, matches, unit_vectors
from connector.doctor.checkup import describe_index, open_cluster_checks
from connector.doctor.samples import compare_vectors
from connector.errors import SettingsError
from connector.filters import EngineQuery, check_filter, parse_filter
from connector.lexical import LexicalQuery
from connector.settings.follow import FollowSettings
from connector.settings.sections import ClusterSettings, IngestSettings, Settings
from connector.types import IndexedDocument, Passage, Ranking, SearchRequest
from connector.wiring import build_searcher, open_index

TIMEOUT_S = 30.0
ALL = 1_000
DOCUMENTS = make_documents()
FIELDS = {indexed.document.doc_id: dict(indexed.document.fields) for indexed in DOCUMENTS}
QUERY = unit_vectors(np.random.default_rng(5), 1)[0]


@pytest.fixture(scope="module")
def made(engine: ClusterSettings) -> Iterator[str]:
    """The synthetic documents in an index of somebody's, their vectors beside it; tests only read it."""
    found: list[Somebody] = []
    yield asyncio.run(_make(engine, found))
    found[0].leave()


async def _make(engine: ClusterSettings, found: list[Somebody]) -> str:
    cluster = await connect(engine)
    somebody = Somebody(engine.url, cluster)
    found.append(somebody)
    name = somebody.make(MAPPING)
    put_all(somebody, name, FIELDS)
    index = await make_beside(somebody, name, SYNTHETIC, copied=["tier", "number", "price", "flag", "date"])
    reply = await index.ask({"size": ALL, "_source": False, "seq_no_primary_term": True}, TIMEOUT_S)
    written = {hit["_id"]: {"seq_no": hit["_seq_no"], "primary_term": hit["_primary_term"]} for hit in
               reply["hits"]["hits"]}  # fmt: skip
    await index.vectors.write([_of(indexed, index, written[indexed.document.doc_id]) for indexed in DOCUMENTS])
    await index.vectors.finish()
    await cluster.close()
    return name


def _of(indexed: IndexedDocument, index: BesideIndex, state: dict[str, Any]) -> IndexedDocument:
    """What ours holds of a document of theirs."""
    fields = FIELDS[indexed.document.doc_id]
    content_hash = hash_texts({name: fields[name] for name in ("title", "text")})
    copies = copied_values(fields, index.origin.copies)
    read = ReadDocument(indexed.document.doc_id, {}, content_hash, copies, state)
    return build_document(read, indexed.passages, indexed.vectors)


@pytest.fixture
async def index(somebody: Somebody, made: str) -> BesideIndex:
    opened = await somebody.cluster.open_index(made)

    assert isinstance(opened, BesideIndex)
    return opened


async def dense(index: Any, vector: Any = QUERY, *, depth: int = ALL, found: Any = None, **options: Any) -> Ranking:
    checked = found if isinstance(found, EngineQuery) else check_filter(parse_filter(found),
                                                                        index.schema.fields.metadata)  # fmt: skip
    ranking: Ranking = await index.dense(vector, depth=depth, filter=checked, timeout_s=TIMEOUT_S, **options)
    return ranking


class TestSearch:
    async def test_the_nearest_are_those_of_the_vectors_beside(self, index: BesideIndex) -> None:
        notes: list[str] = []
        expected = cosines(DOCUMENTS, QUERY)
        hits = await dense(index, depth=50, passages=2, note=notes.append)
        best = sorted(expected, key=lambda doc_id: -expected[doc_id][0][0])[:50]

        assert [hit.doc_id for hit in hits] == best
        assert [hit.score for hit in hits] == pytest.approx([expected[doc_id][0][0] for doc_id in best], abs=1e-3)
        assert [[passage.ordinal for passage in hit.passages] for hit in hits] == [
            [at for _, at in expected[doc_id][:2]] for doc_id in best
        ]
        assert notes == []

    async def test_every_filter_gives_exactly_what_matches_whether_its_fields_are_copied_or_not(
        self, index: BesideIndex
    ) -> None:
        with_passages = {indexed.document.doc_id for indexed in DOCUMENTS if indexed.passages}
        wrong = []
        for found in FILTERS:
            matching = {doc_id for doc_id, fields in FIELDS.items() if matches(found, fields)} & with_passages
            if {hit.doc_id for hit in await dense(index, found=found)} != matching:
                wrong.append(found)

        assert wrong == []

    async def test_a_filter_in_the_engines_own_words_is_answered_by_theirs(self, index: BesideIndex) -> None:
        hits = await dense(index, found=EngineQuery({"match": {"title": "title7"}}))

        assert [hit.doc_id for hit in hits] == [
            indexed.document.doc_id
            for indexed in DOCUMENTS
            if indexed.passages and FIELDS[indexed.document.doc_id]["title"].endswith("title7")
        ]

    async def test_what_is_shown_comes_from_theirs_and_the_nearest_passage_from_ours(self, index: BesideIndex) -> None:
        near = {hit.doc_id: hit.passages[0] for hit in await dense(index)}
        asked = [*FIELDS][:40]
        content = await index.content(asked, query="report", vector=QUERY, timeout_s=TIMEOUT_S)
        contents = await index.get(asked, fields=None, timeout_s=TIMEOUT_S)

        assert {doc_id: found.fields for doc_id, found in content.items()} == {
            doc_id: FIELDS[doc_id] for doc_id in asked
        }
        assert contents == {doc_id: FIELDS[doc_id] for doc_id in asked}
        assert {doc_id: content[doc_id].nearest for doc_id in asked if doc_id in near} == {
            doc_id: near[doc_id] for doc_id in asked if doc_id in near
        }

    async def test_it_is_found_by_its_usual_name_and_ours_is_not_searched_by_itself(
        self, somebody: Somebody, index: BesideIndex
    ) -> None:
        opened = await somebody.cluster.open_index(index.name)

        assert isinstance(opened, BesideIndex)
        assert opened.schema.encoder == SYNTHETIC
        assert (await opened.lexical(LexicalQuery("report"), depth=5, filter=None, timeout_s=TIMEOUT_S)).ranking
        with pytest.raises(SettingsError, match="holds the vectors of the index"):
            await somebody.cluster.open_index(index.vectors.name)

    async def test_pages_that_hold_still_read_theirs(self, index: BesideIndex) -> None:
        frozen = await index.as_of(await index.open_view(60, timeout_s=TIMEOUT_S), 60)
        hits = await dense(frozen, depth=5)
        await frozen.close_view(timeout_s=TIMEOUT_S)

        assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in await dense(index, depth=5)]


ENCODER = WordEncoder()
ARTICLES: dict[str, dict[str, Any]] = {
    f"a{at}": {"title": f"Article {at}", "text": f"word{at} and some more of it", "tier": "gold" if at % 2 else "tin"}
    for at in range(12)
}


def near(hits: Ranking) -> list[str]:
    return [hit.doc_id for hit in hits]


class TestJob:
    async def test_what_changed_is_left_out_and_said_until_the_next_run_brings_it(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES | {"empty": {"tier": "tin"}})
        somebody.send("PUT", f"/{name}/_settings", {"index.blocks.read_only": True})
        index = await make_beside(somebody, name)
        first = await fill_beside(somebody, index, ENCODER)
        somebody.send("PUT", f"/{name}/_settings", {"index.blocks.read_only": None})

        assert (first.counts.written, first.counts.passages, first.counts.without_text) == (13, 12, 1)
        assert near(await dense(index, ENCODER.encode_query("Article 3\nword3 and some more of it"), depth=1)) == ["a3"]

        bulk(somebody, [
            {"update": {"_index": name, "_id": "a1"}}, {"doc": {"tier": "tin"}},
            {"index": {"_index": name, "_id": "a2"}}, ARTICLES["a2"] | {"text": "wholly other words"},
            {"delete": {"_index": name, "_id": "a3"}},
            {"index": {"_index": name, "_id": "new"}}, {"title": "New", "text": "brand new"},
            {"index": {"_index": name, "_id": "newer"}}, {"title": "Newer", "text": "brand newer"},
        ])  # fmt: skip
        somebody.send("POST", f"/{name}/_refresh")
        notes: list[str] = []
        behind = await dense(await somebody.cluster.open_index(name), ENCODER.encode_query("word"), note=notes.append)
        content = await index.content(["a2"], query=None, vector=ENCODER.encode_query("word2"), timeout_s=TIMEOUT_S)

        assert set(near(behind)) == ARTICLES.keys() - {"a2", "a3"}
        assert len(behind) == 10
        assert len(notes) == 1
        assert "1 of the nearest documents have another text than their vectors (1 more are gone)" in notes[0]
        assert "1 documents have no vectors yet" in notes[0]  # 14 to 13
        assert content["a2"].nearest is not None
        assert "wholly other words" in content["a2"].nearest.text

        second = await fill_beside(somebody, index, ENCODER)
        notes.clear()
        caught_up = await dense(
            await somebody.cluster.open_index(name), ENCODER.encode_query("word"), note=notes.append
        )

        assert (second.counts.written, second.counts.touched, second.counts.removed) == (3, 1, 1)
        assert set(near(caught_up)) == {*ARTICLES, "new", "newer"} - {"a3"}
        assert notes == []
        assert "a1" in near(await dense(index, ENCODER.encode_query("word"), found="tier=tin"))
        assert (await fill_beside(somebody, index, ENCODER)).counts.unchanged == 14

    async def test_an_index_made_anew_under_the_name_is_told_from_the_one_before(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES)
        await fill_beside(somebody, await make_beside(somebody, name), ENCODER)
        somebody.send("DELETE", f"/{name}")
        somebody.send("PUT", f"/{name}", {"mappings": MAPPING})
        # the same numbers of writes; one text is another
        put_all(somebody, name, ARTICLES | {"a5": ARTICLES["a5"] | {"text": "changed"}})
        index = await make_beside(somebody, name)
        before = near(await dense(index, ENCODER.encode_query("word")))
        report = await fill_beside(somebody, index, ENCODER)
        again = await make_beside(somebody, name)

        assert set(before) == ARTICLES.keys() - {"a5"}
        assert (report.counts.written, report.counts.touched) == (1, 11)
        assert (index.is_of_same_index, again.is_of_same_index) == (False, True)
        assert set(near(await dense(again, ENCODER.encode_query("word")))) == ARTICLES.keys()

    @pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
    async def test_an_open_index_sees_that_theirs_was_made_anew(
        self, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("connector.clusters.beside.index.UUID_S", 0.0)
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES)
        index = await make_beside(somebody, name)
        await fill_beside(somebody, index, ENCODER)
        before = near(await dense(index, ENCODER.encode_query("word")))
        somebody.send("DELETE", f"/{name}")
        somebody.send("PUT", f"/{name}", {"mappings": MAPPING})
        put_all(somebody, name, ARTICLES | {"a5": ARTICLES["a5"] | {"text": "changed"}})
        after = near(await dense(index, ENCODER.encode_query("word")))

        assert set(before) == ARTICLES.keys()
        assert set(after) == ARTICLES.keys() - {"a5"}

    @pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
    async def test_what_is_written_and_deleted_is_followed_until_it_is_told_to_end(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING, settings={"index.number_of_shards": 2})
        put_all(somebody, name, ARTICLES)
        index = await make_beside(somebody, name)
        stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        written = False

        def act(counts: BesideCounts) -> None:
            nonlocal written
            if counts.passes == 1 and not written:
                written = True
                put_all(somebody, name, {"new": {"title": "New", "text": "brand new"}, "a1": {"text": "changed"}})
                somebody.send("DELETE", f"/{name}/_doc/a2?refresh=true")
            if counts.written == 14 and counts.removed == 1 and not stop.done():
                stop.set_result("seen")

        lags: list[PassageLag] = []
        job = BesideJob(cluster_of(somebody), index, AwayAtFirst(), IngestSettings(), stop=stop, on_progress=act)
        often = FollowSettings(every_s=0.1, sweep_s=1.0)
        report = await BesideFollower(
            cluster_of(somebody), index, often, IngestSettings(), stop=stop, on_behind=lags.append
        ).run(job)

        assert report.stopped == "seen"
        assert (lags[0].trouble, lags[1]) == ("no worker there", PassageLag())
        assert set(near(await dense(index, ENCODER.encode_query("word")))) == {*ARTICLES, "new"} - {"a2"}

    async def test_documents_of_a_required_routing_are_told_apart(self, somebody: Somebody) -> None:
        name = somebody.make(
            MAPPING | {"_routing": {"required": True}},
            {"_id": "same", "_routing": "b", "title": "one", "text": "apples"},  # another shard, in 9.5 too
            {"_id": "same", "_routing": "b/ü", "title": "two", "text": "pears"},
            settings={"index.number_of_shards": 4},
        )
        index = await make_beside(somebody, name)
        report = await fill_beside(somebody, index, ENCODER)
        hits = await dense(index, ENCODER.encode_query("two pears"))

        assert report.counts.written == 2
        assert near(hits) == ["b%2F%C3%BC/same", "b/same"]

    @pytest.mark.parametrize("engine", ["es9"], indirect=True)
    async def test_vectors_of_another_kind_are_not_gone_on_with(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING, ARTICLES["a1"])
        await make_beside(somebody, name)

        with pytest.raises(SettingsError, match="are of other text fields"):
            await make_beside(somebody, name, text={"text": 1.0})
        with pytest.raises(SettingsError, match="are of another encoder"):
            await make_beside(somebody, name, SYNTHETIC)


@pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
class TestWholeSearches:
    async def test_a_search_with_nothing_set_but_the_name_says_what_is_behind(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES)
        await fill_beside(somebody, await make_beside(somebody, name), ENCODER)
        put_all(somebody, name, {"new": {"title": "New", "text": "unheard of"}})
        settings = Settings.model_validate({"index": {"name": name}, "search": {"rerank": [], "deadline_s": 120}})
        searcher = build_searcher(await open_index(somebody.cluster, settings), ENCODER, {}, settings)
        response = await searcher.search(SearchRequest("word7 unheard", k=5))
        searcher.close()

        by_id = {hit.doc_id: hit for hit in response.hits}
        assert by_id["a7"].explain.legs.keys() == {"lexical", "dense"}
        assert by_id["new"].explain.legs.keys() == {"lexical"}
        assert by_id["a7"].fields == ARTICLES["a7"]
        assert by_id["a7"].passage == Passage("a7", 0, "Article 7\nword7 and some more of it")
        assert [(degradation.stage, degradation.lasting) for degradation in response.degraded] == [("dense", True)]
        assert "1 documents have no vectors yet" in response.degraded[0].reason

    async def test_the_doctor_says_whose_vectors_they_are_and_how_far_they_are_behind(self, somebody: Somebody) -> None:
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES)
        index = await make_beside(somebody, name)
        checks = open_cluster_checks(somebody.cluster, timeout_s=TIMEOUT_S)
        empty = await checks.contents(index)
        await fill_beside(somebody, index, ENCODER)
        filled = await checks.contents(index)
        samples = await checks.samples(index, 3)
        bulk(somebody, [{"delete": {"_index": name, "_id": "a1"}}, {"delete": {"_index": name, "_id": "a2"}}])
        put_all(somebody, name, {"new": ARTICLES["a1"], "a4": ARTICLES["a4"]})
        behind = await checks.contents(index)

        assert f"its vectors are beside it, in vectors-of-{name}" in describe_index(index).seen
        assert (empty.status, filled.status, behind.status) == ("fail", "ok", "warn")
        assert filled.facts["held"] == 12
        assert {key: behind.facts[key] for key in ("documents", "missing", "written_since", "gone")} == {
            "documents": 11, "missing": 1, "written_since": 1, "gone": 2,
        }  # fmt: skip
        assert min(compare_vectors(samples, ENCODER)) > 0.99
        assert len(samples) == 3

    async def test_the_gateway_joins_the_two(self, engine: ClusterSettings, somebody: Somebody) -> None:
        name = somebody.make(MAPPING)
        put_all(somebody, name, ARTICLES)
        await fill_beside(somebody, await make_beside(somebody, name), ENCODER)
        settings = Settings.model_validate(
            {
                "cluster": engine.model_dump(),
                "gateway": {"indexes": {name: {}}},
                "search": {"rerank": [], "deadline_s": 120, "legs": {"dense": {"weight": 10}}},
            }
        )
        only = {"term": {"tier": "gold"}}
        body = {"query": {"bool": {"must": {"match": {"text": "word3"}}, "filter": only}}, "size": 9}
        with answering_gateway(settings, ENCODER) as url:
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                reply = await client.post(f"/{name}/_search", json=body)

        found = [hit["_id"] for hit in reply.json()["hits"]["hits"]]
        assert reply.headers["x-rerank"] == "reranked;window=6;mode=union"
        assert found[0] == "a3"
        assert set(found) == {doc_id for doc_id, fields in ARTICLES.items() if fields["tier"] == "gold"}


@pytest.mark.parametrize("engine", ["es9", "os2"], indirect=True)
async def test_the_doctor_counts_what_an_index_filled_in_place_lacks(somebody: Somebody, tmp_path: Path) -> None:
    name = somebody.make(MAPPING, settings=somebody.knn)
    put_all(somebody, name, ARTICLES | {"empty": {"tier": "tin"}})
    cluster = cluster_of(somebody)
    plan = await plan_for(cluster, name, {"title": 2.0, "text": 1.0})
    await put_fields(cluster, plan)
    await BackfillJob(cluster, plan, ENCODER, IngestSettings(), expected=13, rejects=tmp_path / "rejects").run()
    checks = open_cluster_checks(cluster, timeout_s=TIMEOUT_S)
    filled = await checks.contents(await cluster.open_index(name))
    bulk(somebody, [
        {"index": {"_index": name, "_id": "a1"}}, ARTICLES["a1"],
        {"update": {"_index": name, "_id": "a2"}}, {"doc": {"text": "another text"}},
        {"update": {"_index": name, "_id": "a3"}}, {"doc": {"passages": []}},
        {"update": {"_index": name, "_id": "a4"}}, {"doc": {"tier": "gold"}},
    ])  # fmt: skip
    somebody.send("POST", f"/{name}/_refresh")
    index = await cluster.open_index(name)
    behind = await checks.contents(index)

    assert "back-filled in place" in describe_index(index).seen
    assert (filled.status, behind.status) == ("ok", "warn")
    assert filled.seen == "13 documents, passages and vectors in 12, and 1 without text"
    assert {key: behind.facts[key] for key in ("missing", "stripped", "without_text", "changed")} == {
        "missing": 1, "stripped": 1, "without_text": 1, "changed": 1,
    }  # fmt: skip
