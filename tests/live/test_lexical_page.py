"""The lexical leg with the application's own query, and its page: what it finds is what the engine answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.indices.scratch import ask_engine, filled_index

from connector.clusters.protocol import Cluster, Index
from connector.contract.synthetic import make_documents, schema
from connector.errors import ClusterError
from connector.filters import Terms
from connector.lexical import LexicalQuery, PageRequest
from connector.settings.sections import ClusterSettings
from connector.types import Ranking

DOCUMENTS = make_documents(60)
TIMEOUT_S = 30.0
OWN: dict[str, dict[str, Any]] = {
    "phrase and fuzzy parts": {
        "bool": {
            "must": [{"multi_match": {"query": "reprot passage1", "fields": ["title^3", "text"], "fuzziness": "AUTO"}}],
            "should": [{"match_phrase": {"text": {"query": "passage2 of", "slop": 1, "boost": 2}}}],
            "must_not": [{"term": {"tier": "silver"}}],
        }
    },
    # sums what must not be scaled
    "a function of the score": {
        "function_score": {
            "query": {"match": {"text": "document passage1 passage2"}},
            "functions": [
                {"filter": {"term": {"flag": True}}, "weight": 3},
                {"field_value_factor": {"field": "price", "factor": 0.1, "modifier": "log2p", "missing": 1},
                 "filter": {"range": {"price": {"gte": 0}}}},
            ],
            "score_mode": "sum",
            "boost_mode": "sum",
        }
    },
    "filters alone": {"bool": {"filter": [{"exists": {"field": "number"}}]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(engine: ClusterSettings) -> Iterator[str]:
    """An index of ours with sixty documents."""
    with filled_index(engine, schema(), DOCUMENTS) as name:
        yield name


@pytest.fixture
async def index(cluster: Cluster, filled: str) -> Index:
    return await cluster.open_index(filled)


def scores(ranking: Ranking) -> dict[str, float]:
    return {hit.doc_id: hit.score for hit in ranking}


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
@pytest.mark.parametrize("passages", [0, 1])
async def test_the_leg_ranks_as_the_engine_does(
    engine: ClusterSettings, index: Index, own: dict[str, Any], passages: int
) -> None:
    reply = ask_engine(engine, index.name, {"query": own, "size": 60})
    query = LexicalQuery("report passage1", own=own)
    answer = await index.lexical(
        query, depth=60, filter=None, timeout_s=TIMEOUT_S, passages=passages, page=PageRequest()
    )
    theirs = {hit["_id"]: hit["_score"] for hit in reply["hits"]["hits"]}

    assert scores(answer.ranking) == theirs
    assert [hit.score for hit in answer.ranking] == [hit["_score"] for hit in reply["hits"]["hits"]]
    assert len(theirs) > 1
    assert answer.page
    assert answer.page.total
    assert answer.page.total.value == reply["hits"]["total"]["value"]
    assert any(hit.passages for hit in answer.ranking) == bool(passages)


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
async def test_a_filter_beside_it_changes_no_score(engine: ClusterSettings, index: Index, own: dict[str, Any]) -> None:
    query = LexicalQuery("", own=own)
    theirs = scores((await index.lexical(query, depth=60, filter=None, timeout_s=TIMEOUT_S)).ranking)
    gold = {
        indexed.document.doc_id
        for indexed in DOCUMENTS
        if indexed.document.fields.get("tier") in ("gold", "Gold", "O'Brien")
    }
    found = Terms("tier", ("gold", "Gold", "O'Brien"))
    answer = await index.lexical(query, depth=60, filter=found, timeout_s=TIMEOUT_S)

    assert scores(answer.ranking) == {doc_id: score for doc_id, score in theirs.items() if doc_id in gold}
    assert answer.ranking


async def test_a_query_that_the_engine_refuses_is_answered_with_its_reason(index: Index) -> None:
    with pytest.raises(ClusterError, match="mach"):
        await index.lexical(LexicalQuery("a", own={"mach": {}}), depth=3, filter=None, timeout_s=TIMEOUT_S)


async def test_a_sort_decides_the_order_and_a_collapse_goes_with_it(engine: ClusterSettings, index: Index) -> None:
    sort = [{"price": {"order": "desc", "missing": "_last"}}, {"doc_id": "asc"}]
    own = {"match": {"text": "document"}}
    asked = {"query": own, "size": 12, "sort": sort, "collapse": {"field": "tier"}, "track_total_hits": True}
    reply = ask_engine(engine, index.name, asked)
    answer = await index.lexical(
        LexicalQuery("document", own=own),
        depth=12,
        filter=None,
        timeout_s=TIMEOUT_S,
        page=PageRequest(sort=sort, collapse="tier"),
    )

    assert [hit.doc_id for hit in answer.ranking] == [hit["_id"] for hit in reply["hits"]["hits"]]
    assert len(answer.ranking) > 3
    assert answer.page
    assert answer.page.total
    assert answer.page.total.value == reply["hits"]["total"]["value"] == 60


@pytest.mark.parametrize("passages", [0, 1])
@pytest.mark.parametrize("own", [OWN["a function of the score"], None])
async def test_aggregations_are_the_engines_own(
    engine: ClusterSettings, index: Index, own: dict[str, Any] | None, passages: int
) -> None:
    aggregations = {
        "tiers": {"terms": {"field": "tier"}, "aggs": {"price": {"stats": {"field": "price"}}}},
        "best": {"top_hits": {"size": 2, "_source": ["title"]}},
    }
    query = own or {"match": {"title": "title7 report"}}
    body = {"query": query, "aggs": aggregations, "size": 0}
    reply = ask_engine(engine, index.name, body)
    answer = await index.lexical(
        LexicalQuery("title7 report", own=own, fields={"title": 1.0}),
        depth=5,
        passages=passages,
        filter=None,
        timeout_s=TIMEOUT_S,
        page=PageRequest(aggregations=aggregations),
    )

    assert answer.page
    assert answer.page.aggregations == reply["aggregations"]
    assert answer.page.aggregations["tiers"]["buckets"]
