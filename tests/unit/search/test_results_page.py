"""A search with what a results page needs: counts, one hit of a group, a sort, highlights, offsets; embedded store."""

from __future__ import annotations

from typing import Any

import pytest
from support.parts import HashEncoder
from support.searches import PLAIN, TEXTS, Broken, ids, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterError, ClusterUnavailable, QueryError
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import Settings
from connector.types import Total

KINDS = {"kinds": {"terms": {"field": "kind"}}}
MARKED = {"a": "<em>red</em> <em>fish</em> swims", "e": "a <em>red</em> <em>red</em> <em>fish</em>"}


def buckets(response: Any) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in response.aggregations["kinds"]["buckets"]}


async def test_total_and_aggregations_count_what_the_lexical_query_matches(
    index: EmbeddedIndex, worker: WorkerClient
) -> None:
    response = await search(index, worker, "fish", aggs=KINDS, k=1)
    narrowed = await search(index, worker, "fish", aggs=KINDS, filter="kind=fish")

    assert response.total == Total(3, "eq", "lexical")  # a, c, e, though all five come by the dense leg
    assert sum(buckets(response).values()) == 3
    assert narrowed.total
    assert buckets(narrowed) == {"fish": narrowed.total.value}
    assert len(response.hits) == 1
    assert response.hits[0].stage == "local"
    assert response.degraded == ()


async def test_a_union_counts_what_only_other_legs_found_too(index: EmbeddedIndex) -> None:
    response = await search(index, None, "fish", aggs=KINDS, facets="union")

    assert response.total == Total(len(response.rankings["fused"]), "eq", "union")
    assert response.total.value > 3
    assert sum(buckets(response).values()) == response.total.value
    assert "facets" in response.took_ms


async def test_nothing_is_counted_where_nobody_asks(index: EmbeddedIndex) -> None:
    plain = await search(index, None)
    counted = await search(index, None, total=True)

    assert (plain.total, plain.aggregations) == (None, {})
    assert counted.total == Total(4)
    assert [hit.doc_id for hit in plain.hits] == [hit.doc_id for hit in counted.hits]


async def test_a_failed_lexical_leg_leaves_no_counts_and_the_answer_says_so(index: EmbeddedIndex) -> None:
    broken = Broken(index, lexical=ClusterUnavailable("reset"))
    response = await search(broken, None, aggs=KINDS)

    assert response.total is None
    assert response.aggregations == {}
    assert [(part.stage, part.reason) for part in response.degraded] == [
        ("lexical", "reset"),
        ("facets", "no total and no aggregations: they come with the leg lexical, which failed"),
    ]
    assert response.hits


async def test_what_the_engine_refuses_of_the_callers_words_is_the_callers_to_know(index: EmbeddedIndex) -> None:
    refusing = Broken(index, lexical=ClusterError("Unknown aggregation type [mach]", status=400))

    with pytest.raises(
        QueryError, match=r"does not take this query, sort or aggregations: Unknown aggregation type \[mach\]"
    ):
        await search(refusing, None, aggs=KINDS)
    assert (await search(refusing, None)).degraded  # a plain search goes on without the leg


async def test_highlights_are_the_querys_or_else_the_passage(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, "red fishes", highlight=True)
    marked = {hit.doc_id: hit.highlight for hit in response.hits}

    assert {doc_id: marked[doc_id] for doc_id in MARKED} == {
        doc_id: {"text": [text]} for doc_id, text in MARKED.items()
    }
    assert marked["d"] == {"passage": [TEXTS["d"]]}  # found by its vector alone
    assert response.degraded == ()


async def test_a_highlight_that_fails_takes_nothing_else_along(index: EmbeddedIndex) -> None:
    class Faulty(Broken):
        results_page = Broken(index.results_page, highlight=ClusterUnavailable("gone"))  # type: ignore[arg-type]

    response = await search(Faulty(index), None, highlight=["text"])

    assert [(part.stage, part.reason) for part in response.degraded] == [("highlight", "gone")]
    assert response.hits[0].fields["text"]
    assert not any(hit.highlight for hit in response.hits)


@pytest.mark.parametrize("rerank", [True, False])
async def test_a_group_shows_its_best_hit_in_the_final_order(
    index: EmbeddedIndex, worker: WorkerClient, rerank: bool
) -> None:
    whole = await search(index, worker, rerank=rerank)
    response = await search(index, worker, rerank=rerank, collapse="kind")
    kinds = [hit.fields["kind"] for hit in whole.hits]
    first = [hit.doc_id for at, hit in enumerate(whole.hits) if kinds.index(kinds[at]) == at]

    assert ids(response) == first
    assert 1 < len(first) < 5
    assert [hit.rank for hit in response.hits] == [*range(1, len(first) + 1)]


async def test_a_sort_takes_the_place_of_fusion_and_rerank(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(index, worker, "fish", sort="kind:desc", aggs=KINDS)
    sort = [{"kind": "desc"}, "doc_id"]
    of_kinds = await search(index, worker, "fish", sort=sort, collapse="kind", offset=1, k=1)

    assert sorted(ids(response)[1:]) == ["a", "c"]
    assert ids(response)[0] == "e"  # red before fish
    assert [hit.stage for hit in response.hits] == ["lexical"] * 3
    assert response.hits[0].explain.legs["lexical"].rank == 1
    assert response.hits[0].explain.fusion is None
    assert [*response.rankings] == ["lexical"]
    assert response.notes == (
        "sorted as asked for: nothing was fused or reranked, and only what the lexical leg finds is there",
    )
    assert response.stages == {}
    assert response.total == Total(3)
    assert [(hit.doc_id, hit.rank) for hit in of_kinds.hits] == [("a", 2)]


async def test_pages_by_offset_are_pieces_of_one_order(index: EmbeddedIndex, worker: WorkerClient) -> None:
    whole = await search(index, worker)
    pages = [await search(index, worker, k=2, offset=offset) for offset in (0, 2, 4, 6)]

    assert [doc_id for page in pages for doc_id in ids(page)] == ids(whole)
    assert [hit.rank for page in pages for hit in page.hits] == [1, 2, 3, 4, 5]
    assert pages[3].hits == ()
    assert pages[3].notes == ("the order ends after 5 hits, before the offset 6",)


async def test_pages_behind_a_cursor_keep_marks_groups_and_fields(index: EmbeddedIndex) -> None:
    wanted: dict[str, Any] = {"highlight": True, "collapse": "kind", "source": "kind", "k": 2}
    whole = await search(index, None, **wanted | {"k": 4})
    first = await search(index, None, cursor=True, aggs=KINDS, **wanted)
    second = await search(index, None, cursor=first.cursor, aggs=KINDS, **wanted)

    assert [*ids(first), *ids(second)] == ids(whole)
    assert second.cursor is None
    assert [hit.rank for hit in second.hits] == [3, 4]
    assert [hit.highlight for hit in (*first.hits, *second.hits)] == [hit.highlight for hit in whole.hits]
    assert all(hit.fields.keys() == {"kind"} for hit in second.hits)
    assert first.total == Total(4)
    assert second.total is None
    assert second.notes == ("total and aggregations come with the first page of a cursor",)


async def test_source_chooses_the_fields_and_not_the_passage(index: EmbeddedIndex, worker: WorkerClient) -> None:
    for reranker in (worker, None):
        response = await search(index, reranker, source=["kind"])

        assert all(hit.fields.keys() == {"kind"} for hit in response.hits)
        assert all(hit.passage and hit.passage.text == TEXTS[hit.doc_id] for hit in response.hits)


async def test_without_a_lexical_leg_nothing_counts_or_sorts(index: EmbeddedIndex) -> None:
    dense = Settings.model_validate({"search": {**PLAIN.search.model_dump(), "legs": {"lexical": "off"}}})

    for option in ({"aggs": KINDS}, {"sort": "kind"}, {"facets": "union"}):
        with pytest.raises(QueryError, match=r"only a lexical leg counts, aggregates and sorts; search.legs has none"):
            await search(index, None, settings=dense, encoder=HashEncoder(dims=64), **option)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"aggs": ["terms"]}, "aggs must be an object, as the engines take it, not list"),
        ({"highlight": {"pre_tags": ["<b>"]}}, "highlight has no fields"),
        ({"highlight": [3]}, "highlight is True, names of fields, or an object"),
        ({"highlight": "title"}, "no text field 'title' to highlight; it has: text"),
        ({"collapse": "text"}, "no field 'text' with one value to collapse by"),
        ({"collapse": ["kind"]}, "collapse names one field"),
        ({"sort": [3]}, "a sort names fields"),
        ({"sort": "kind:up"}, "cannot sort by 'kind:up'; it can by: kind"),
        ({"source": 3}, "source names fields; write True, False"),
        ({"offset": -1}, "offset must be a whole number, 0 or more"),
        ({"offset": 40}, "offset=40 and k=5 go beyond the 40 documents that the legs find"),
        ({"offset": 10_000, "sort": "kind"}, "go beyond the 10,000 documents that a sorted order is"),
        ({"facets": "all"}, "facets is 'lexical' or 'union', not 'all'"),
        ({"facets": "union", "sort": "kind"}, "with a sort only the lexical leg is asked"),
        ({"cursor": True, "sort": "kind"}, "a sorted order is read page after page by offset"),
        ({"total": 0}, "total is True, False, or up to how many"),
        ({"aggs": {"a": {"geohash_grid": {"field": "kind"}}}}, "makes no aggregation like 'a': geohash_grid; it has"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_before_anything_is_asked(
    index: EmbeddedIndex, options: dict[str, Any], reason: str
) -> None:
    untouched = Broken(index, lexical=AssertionError(), dense=AssertionError())

    with pytest.raises(QueryError, match=reason):
        await search(untouched, None, **options)
