"""What every store gives for a results page: totals, aggregations, a sort, highlights, source, groups; on all five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from support.indices.scratch import filled_index

from connector.clusters.protocol import Cluster, Index
from connector.contract.synthetic import COUNT, PRICES, make_documents, schema
from connector.filters import Terms
from connector.lexical import LexicalPage, LexicalQuery, PageRequest
from connector.settings.sections import ClusterSettings
from connector.source_filter import read_source_filter
from connector.types import Total
from connector.values import to_instant

TIMEOUT_S = 30.0
DOCUMENTS = make_documents()
FIELDS = {indexed.document.doc_id: indexed.document.fields for indexed in DOCUMENTS}
EVERYONE = LexicalQuery("document")
SOME = LexicalQuery("only7x0 only12x1 title3")
SOME_IDS = {
    doc_id
    for doc_id, fields in FIELDS.items()
    if {"only7x0", "only12x1", "title3"} & {*fields["title"].split(), *fields["text"].split()}
}


@pytest.fixture(scope="module")
def filled(store: ClusterSettings) -> Iterator[str]:
    """An index of the synthetic documents; tests only read it."""
    with filled_index(store, schema(), DOCUMENTS) as name:
        yield name


@pytest.fixture
async def index(cluster: Cluster, filled: str) -> Index:
    return await cluster.open_index(filled)


async def ask(index: Index, query: LexicalQuery = EVERYONE, *, depth: int = 5, **page: Any) -> Any:
    answer = await index.lexical(query, depth=depth, filter=None, timeout_s=TIMEOUT_S, page=PageRequest(**page))
    assert answer.page is not None
    return answer


def have(name: str) -> list[Any]:
    """The values of all documents that have one."""
    return [fields[name] for fields in FIELDS.values() if name in fields]


def milliseconds(date: str) -> int:
    return round(to_instant(date).timestamp() * 1000)


class TestAggregations:
    async def test_terms_are_counted_most_first_and_the_rest_is_summed(self, index: Index) -> None:
        tiers, flags, dates = (Counter(have(name)) for name in ("tier", "flag", "date"))
        tags = Counter(tag for tags in have("tags") for tag in tags)
        answer = await ask(
            index,
            aggregations={
                "tiers": {"terms": {"field": "tier", "size": 3}},
                "tags": {"terms": {"field": "tags", "order": {"_key": "desc"}}},
                "flags": {"terms": {"field": "flag"}},
                "dates": {"terms": {"field": "date", "size": 1}},
            },
        )
        found = answer.page.aggregations
        first = sorted(tiers, key=lambda tier: (-tiers[tier], tier))[:3]
        best_date = min(dates, key=lambda date: (-dates[date], milliseconds(date)))

        assert found["tiers"] == {
            "doc_count_error_upper_bound": 0,
            "sum_other_doc_count": sum(tiers.values()) - sum(tiers[tier] for tier in first),
            "buckets": [{"key": tier, "doc_count": tiers[tier]} for tier in first],
        }
        assert found["tags"]["buckets"] == [{"key": tag, "doc_count": tags[tag]} for tag in sorted(tags, reverse=True)]
        assert found["flags"]["buckets"] == [
            {"key": int(flag), "key_as_string": str(flag).lower(), "doc_count": count}
            for flag, count in flags.most_common()
        ]
        (date,) = found["dates"]["buckets"]
        assert (date["key"], date["doc_count"]) == (milliseconds(best_date), dates[best_date])
        assert milliseconds(date["key_as_string"]) == date["key"]

    async def test_numbers_are_measured_and_put_into_ranges(self, index: Index) -> None:
        prices = [price for price in have("price") if price < 100]
        cheap = Terms("price", tuple(price for price in PRICES if price < 100))
        ranges = [{"to": 0}, {"from": 0, "to": 10.0}, {"from": 10, "key": "dear"}]
        asked = {kind: {kind: {"field": "price"}} for kind in ("min", "max", "avg", "sum", "value_count", "stats")}
        asked |= {
            "kinds": {"cardinality": {"field": "price"}},
            "without": {"missing": {"field": "tier"}},
            "ranges": {"range": {"field": "price", "ranges": ranges}, "aggs": {"mean": {"avg": {"field": "price"}}}},
            "steps": {"histogram": {"field": "price", "interval": 5}},
            "last": {"max": {"field": "date"}},
        }
        answer = await index.lexical(
            EVERYONE, depth=1, filter=cheap, timeout_s=TIMEOUT_S, page=PageRequest(aggregations=asked)
        )
        assert answer.page
        found = answer.page.aggregations
        low, middle, high = ([p for p in prices if start <= p < end] for start, end in ((-9, 0), (0, 10), (10, 99)))
        of_cheap = [fields for fields in FIELDS.values() if fields.get("price", 100) < 100]

        assert {kind: found[kind]["value"] for kind in ("min", "max", "sum", "avg", "value_count")} == pytest.approx(
            {"min": min(prices), "max": max(prices), "sum": sum(prices), "avg": sum(prices) / len(prices),
             "value_count": len(prices)}
        )  # fmt: skip
        assert found["stats"] == pytest.approx(
            {"count": len(prices), "min": min(prices), "max": max(prices), "sum": sum(prices),
             "avg": sum(prices) / len(prices)}
        )  # fmt: skip
        assert found["kinds"]["value"] == len(set(prices))
        assert found["without"]["doc_count"] == sum("tier" not in fields for fields in of_cheap)
        buckets = found["ranges"]["buckets"]
        assert [bucket.pop("mean")["value"] for bucket in buckets] == pytest.approx(
            [sum(part) / len(part) for part in (low, middle, high)]
        )
        assert buckets == [
            {"key": "*-0.0", "to": 0.0, "doc_count": len(low)},
            {"key": "0.0-10.0", "from": 0.0, "to": 10.0, "doc_count": len(middle)},
            {"key": "dear", "from": 10.0, "doc_count": len(high)},
        ]
        steps = Counter(price // 5 * 5 for price in prices)
        assert found["steps"]["buckets"] == [
            {"key": key, "doc_count": steps[key]} for key in (-5.0, 0.0, 5.0, 10.0) if min(steps) <= key <= max(steps)
        ]
        assert milliseconds(found["last"]["value_as_string"]) == found["last"]["value"]

    async def test_of_nothing_there_is_nothing(self, index: Index) -> None:
        asked = {"tiers": {"terms": {"field": "tier"}}, "mean": {"avg": {"field": "price"}},
                 "steps": {"histogram": {"field": "price", "interval": 5}}}  # fmt: skip
        answer = await ask(index, LexicalQuery("zebra"), aggregations=asked)

        assert answer.page == LexicalPage(
            Total(0),
            {
                "tiers": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []},
                "mean": {"value": None},
                "steps": {"buckets": []},
            },
        )

    async def test_a_union_counts_what_matches_and_what_other_legs_found_each_once(self, index: Index) -> None:
        others = [doc_id for doc_id in FIELDS if doc_id not in SOME_IDS][:20]
        tiers = Counter(FIELDS[doc_id].get("tier") for doc_id in {*others, *SOME_IDS})
        page = PageRequest(aggregations={"tiers": {"terms": {"field": "tier", "size": 50}}})
        found = await index.results_page.union(SOME, [*others, *SOME_IDS], filter=None, timeout_s=TIMEOUT_S, page=page)
        alone = await index.results_page.union(SOME, [], filter=None, timeout_s=TIMEOUT_S, page=page)

        assert found.total == Total(20 + len(SOME_IDS), "eq", "union")
        assert {bucket["key"]: bucket["doc_count"] for bucket in found.aggregations["tiers"]["buckets"]} == {
            tier: count for tier, count in tiers.items() if tier
        }
        assert alone.total == Total(len(SOME_IDS), "eq", "union")
        assert (await ask(index, SOME)).page.total == Total(len(SOME_IDS))


class TestSort:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("name", ["price", "tier", "date", "flag"])
    async def test_the_order_is_that_of_the_field_and_what_lacks_it_comes_last(
        self, index: Index, name: str, order: str
    ) -> None:
        answer = await ask(index, depth=COUNT, sort=[{name: order}])
        values = [FIELDS[hit.doc_id].get(name) for hit in answer.ranking]
        known = [value for value in values if value is not None]
        key: Any = milliseconds if name == "date" else (lambda value: value)

        assert known == sorted(known, key=key, reverse=order == "desc")
        assert values[len(known) :] == [None] * (COUNT - len(known))
        assert len({hit.doc_id for hit in answer.ranking}) == COUNT
        assert answer.page.total == Total(COUNT)
        assert sum(bool(hit.passages) for hit in answer.ranking) == sum(
            bool(document.passages) for document in DOCUMENTS
        )

    async def test_a_sort_of_several_keys_with_the_missing_first(self, index: Index) -> None:
        sort = [{"flag": {"order": "desc", "missing": "_first"}}, "number", {"doc_id": {"order": "desc"}}]
        answer = await ask(index, depth=COUNT, sort=sort)
        keys = [
            (fields.get("flag") is not None, not fields.get("flag"), fields.get("number", 2**60))
            for fields in (FIELDS[hit.doc_id] for hit in answer.ranking)
        ]

        assert keys == sorted(keys)

    async def test_with_a_sort_a_group_is_shown_once_over_all_that_matches(self, index: Index) -> None:
        answer = await ask(index, depth=50, sort=[{"price": "desc"}, "doc_id"], collapse="tier")
        groups = [FIELDS[hit.doc_id].get("tier") for hit in answer.ranking]
        best = {tier: max(f.get("price", -9) for f in FIELDS.values() if f.get("tier") == tier) for tier in groups}

        assert Counter(groups) == Counter({*have("tier"), None})
        assert [FIELDS[hit.doc_id].get("price", -9) for hit in answer.ranking] == [best[tier] for tier in groups]
        assert answer.page.total == Total(COUNT)  # documents, not groups


class TestHighlights:
    async def test_words_are_marked_where_the_query_looked_for_them(self, index: Index) -> None:
        doc_id = DOCUMENTS[7].document.doc_id
        options = {
            "fields": {"title": {}, "text": {"number_of_fragments": 0}},
            "pre_tags": ["<b>"],
            "post_tags": ["</b>"],
        }
        query = LexicalQuery("documents title7 zebra")
        found = await index.results_page.highlight(
            query, [doc_id, DOCUMENTS[8].document.doc_id], filter=None, options=options, timeout_s=TIMEOUT_S
        )
        title, text = DOCUMENTS[7].document.fields["title"], DOCUMENTS[7].document.fields["text"]

        assert found[doc_id] == {
            "title": [title.replace("title7", "<b>title7</b>")],
            "text": [text.replace("document", "<b>document</b>")],
        }
        assert found[DOCUMENTS[8].document.doc_id].keys() == {"text"}

    async def test_what_has_no_word_of_the_query_has_no_highlight(self, index: Index) -> None:
        ids = [indexed.document.doc_id for indexed in DOCUMENTS[:9]]
        options = {"fields": {"*": {}}}
        found = await index.results_page.highlight(
            LexicalQuery("title7"), ids, filter=None, options=options, timeout_s=TIMEOUT_S
        )

        assert found.keys() == {DOCUMENTS[7].document.doc_id}

    async def test_a_passage_is_marked_by_the_analyzer_of_the_index(self, index: Index) -> None:
        texts = ["🙂 The policies of a <Größe> policy", "nothing of it", "Refunding a REFUND"]
        marked = await index.results_page.mark(
            "the policy größe of refunds", texts, options={"encoder": "html"}, timeout_s=TIMEOUT_S
        )

        assert marked == [
            "🙂 The <em>policies</em> of a &lt;<em>Größe</em>&gt; <em>policy</em>",
            "nothing of it",
            "<em>Refunding</em> a <em>REFUND</em>",
        ]
        assert await index.results_page.mark("a", [], options={}, timeout_s=TIMEOUT_S) == []


class TestSource:
    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            (["title", "t*r"], {"title", "tier"}),
            ("extra.when", {"extra"}),
            (
                {"excludes": ["text", "extra.nested"]},
                {"title", "tier", "tags", "number", "price", "flag", "date", "extra"},
            ),
            ({"includes": "*t*", "excludes": ["te*", "date"]}, {"title", "tier", "tags", "extra"}),
            (False, set()),
        ],
    )
    async def test_a_hit_shows_what_source_names(self, index: Index, asked: Any, names: set[str]) -> None:
        source = read_source_filter(asked)
        ids = [indexed.document.doc_id for indexed in DOCUMENTS[:40]]
        contents_again = await index.get(ids, fields=None, timeout_s=TIMEOUT_S, source=source)
        contents = await index.content(ids, query="passage1", vector=None, timeout_s=TIMEOUT_S, source=source)
        extras = [fields["extra"] for fields in contents_again.values() if "extra" in fields]

        assert contents_again.keys() == contents.keys() == set(ids)
        assert {name: fields.keys() for name, fields in contents_again.items()} == {
            doc_id: FIELDS[doc_id].keys() & names for doc_id in ids
        }
        assert {doc_id: content.fields for doc_id, content in contents.items()} == contents_again
        assert any(content.matching for content in contents.values())
        if asked == "extra.when":
            assert {tuple(extra) for extra in extras} == {("when",)}


class TestGroups:
    async def test_documents_are_grouped_by_their_value(self, index: Index) -> None:
        ids = [indexed.document.doc_id for indexed in DOCUMENTS]
        tiers = await index.results_page.groups([*ids, "nobody"], "tier", timeout_s=TIMEOUT_S)
        numbers = await index.results_page.groups(ids, "number", timeout_s=TIMEOUT_S)

        assert tiers == {doc_id: (FIELDS[doc_id]["tier"],) if "tier" in FIELDS[doc_id] else () for doc_id in ids}
        assert numbers == {doc_id: (FIELDS[doc_id]["number"],) if "number" in FIELDS[doc_id] else () for doc_id in ids}
        assert await index.results_page.groups([], "tier", timeout_s=TIMEOUT_S) == {}
