"""Searches through the gateway, against each engine's own reply to the same request: field by field, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from support.gateway.running_gateway import (
    ENCODER,
    JSON,
    PRODUCTS,
    answering_gateway,
    filled_shop,
    gateway_settings,
)
from support.indices.scratch import NDJSON, engine_client
from support.parts import OverlapScorer, serving
from support.worker.worker_app import wait_ready

from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.worker.app import create_app

pytestmark = pytest.mark.live

BOUNDED = {"X-Rerank": "bounded"}
FEW: JSON = {"match": {"title": {"query": "crimson lamp extra", "operator": "and"}}}  # a dozen, all on one page
LOOSE: JSON = {"match": {"title": "red sofa"}}
APART: JSON = {"match": {"text": "red sofa"}}  # the vectors are of the titles, so that others are near


@dataclass(frozen=True)
class Shop:
    """An index on an engine, and a gateway in front of it."""

    index: str
    direct: httpx.Client
    through: httpx.Client

    @property
    def path(self) -> str:
        return f"/{self.index}/_search"

    def both(self, body: JSON, query: str = "", **headers: str) -> tuple[httpx.Response, httpx.Response]:
        """The engine's reply, and the gateway's, which did not let it pass."""
        direct = self.direct.post(self.path + query, json=body, headers=headers)
        through = self.through.post(self.path + query, json=body, headers=headers | BOUNDED)
        assert through.headers["x-rerank"].startswith("reranked"), (through.headers["x-rerank"], body, query)
        return direct, through

    def ask(self, body: JSON, query: str = "", **headers: str) -> JSON:
        """The gateway's reply, in which hits were reordered."""
        reply = self.through.post(
            self.path + query, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        assert reply.headers.get("x-rerank", "").startswith("reranked"), (dict(reply.headers), reply.text)
        found: JSON = reply.json()
        return found


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    """A reranker that counts the words that a passage shares with the query."""
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        yield wait_ready(url)


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings, worker: str) -> Iterator[Shop]:
    with filled_shop(engine) as name:
        with answering_gateway(gateway_settings(engine, name, worker=worker), ENCODER) as url:
            with engine_client(engine) as direct, httpx.Client(base_url=url, timeout=60) as to:
                yield Shop(name, direct, to)


AGGS: JSON = {"brands": {"terms": {"field": "brand"}, "aggs": {"top": {"top_hits": {"size": 1, "_source": ["title"]}}}}}
BODIES: dict[str, JSON] = {
    "plain": {},
    "aggregations": {"aggs": AGGS},
    "suggest": {"suggest": {"words": {"text": "soffa", "term": {"field": "title"}}}},
    "no source": {"_source": False},
    "source by names": {"_source": {"includes": ["title", "parts*"], "excludes": ["*.nothing"]}},
    "fields": {"fields": ["brand", "price"], "_source": False},
    "doc values": {"docvalue_fields": ["brand", "price"], "stored_fields": ["title"]},
    "highlight": {"highlight": {
        "fields": {"title": {}, "text": {"number_of_fragments": 0}}, "pre_tags": ["<b>"], "post_tags": ["</b>"]}},
    "versions": {"version": True, "seq_no_primary_term": True},
    "explain": {"explain": True, "_source": False},
    "no total": {"track_total_hits": False},
    "a total of some": {"track_total_hits": 3},
    "post filter": {"post_filter": {"terms": {"brand": ["acme", "oak"]}}, "aggs": {"b": {"terms": {"field": "brand"}}}},
    "least score": {"min_score": 0.1},
    "time": {"timeout": "10s"},
    "sort by score": {"sort": ["_score"]},
    "stats": {"stats": ["shop"]},
    "named": {"query": {"bool": {"must": [FEW], "filter": [{"term": {"brand": {"value": "acme", "_name": "b"}}}]}}},
    "inner hits": {
        "query": {"bool": {"must": [FEW], "filter": [{"nested": {
            "path": "parts", "query": {"exists": {"field": "parts.name"}}, "inner_hits": {"size": 2}}}]}}
    },
    "several clauses": {"query": {"bool": {"should": [FEW, {"match_phrase": {"title": "crimson lamp extra"}}]}}},
    "must not": {"query": {"bool": {"must": FEW, "must_not": {"range": {"price": {"gt": 60}}}}}},
}  # fmt: skip
QUERIES = (
    *("?typed_keys=true", "?rest_total_hits_as_int=true", "?_source=false", "?_source_includes=title,brand"),
    *("?track_total_hits=false", "?version=true&explain=true", "?preference=_local&routing=", "?human", "?size=25"),
    *("?docvalue_fields=brand", "?ignore_unavailable=true&allow_no_indices=false", "?search_type=dfs_query_then_fetch"),
)


def assert_alike(direct: httpx.Response, through: httpx.Response, case: str) -> None:
    """All but the order of hits and the time it took is the engine's: members and their order, numbers, hits, and the
    scores as a whole."""
    assert through.status_code == direct.status_code, (case, through.text)
    for name in ("content-type", "content-encoding", "x-elastic-product", "x-opensearch-version", "x-opaque-id"):
        assert through.headers.get(name) == direct.headers.get(name), (case, name)
    ours, theirs = through.json(), direct.json()
    assert list(ours) == list(theirs), case
    for name in set(theirs) - {"took", "hits", "profile"}:
        assert ours[name] == theirs[name], (case, name)
    assert list(ours["hits"]) == list(theirs["hits"]), case
    assert {**ours["hits"], "hits": 0} == {**theirs["hits"], "hits": 0}, case
    assert len(ours["hits"]["hits"]) == len(theirs["hits"]["hits"]), case
    by_id = {hit["_id"]: hit for hit in theirs["hits"]["hits"]}
    for hit in ours["hits"]["hits"]:
        assert list(hit) == list(by_id[hit["_id"]]), (case, hit)
        assert {**hit, "_score": 0} == {**by_id[hit["_id"]], "_score": 0}, case
    scores = [[hit["_score"] for hit in reply["hits"]["hits"]] for reply in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6), case


def test_a_reply_is_the_engines_in_every_field_but_the_order_of_its_hits(shop: Shop) -> None:
    for case, body in BODIES.items():
        assert_alike(*shop.both({"query": FEW, "size": 20} | body), case)
    for query in QUERIES:
        assert_alike(*shop.both({"query": FEW, "size": 20, "aggs": AGGS}, query), query)
    direct = shop.direct.get(
        shop.path, params={"q": "crimson lamp", "df": "title", "default_operator": "AND", "size": 60}
    )
    through = shop.through.get(
        shop.path, params={"q": "crimson lamp", "df": "title", "default_operator": "AND", "size": 60}
    )
    assert through.headers["x-rerank"].startswith("reranked;window=8;mode=bounded")
    assert_alike(direct, through, "q")


def test_the_opaque_id_comes_back_and_nothing_foreign_is_in_the_body(shop: Shop) -> None:
    assert_alike(*shop.both({"query": FEW, "size": 20}, **{"X-Opaque-Id": "seven"}), "opaque id")


def test_a_reply_is_compressed_where_the_engines_is(shop: Shop) -> None:
    """Also a page whose order is remembered, and several at once."""
    several = f'{{"index":"{shop.index}"}}\n' + json.dumps({"query": LOOSE, "size": 7, "from": 4}) + "\n"
    for accepted in ("gzip", "deflate", "gzip;q=0.5, deflate", "identity", "br"):
        coding = {"Accept-Encoding": accepted}
        for start in (0, 20):
            direct, through = shop.both({"query": LOOSE, "size": 20, "from": start}, **coding)
            assert through.headers.get("content-encoding") == direct.headers.get("content-encoding"), accepted
            assert len(through.json()["hits"]["hits"]) == 20
        for _ in range(2):  # the second time both pages are asked for by one request
            direct, through = (
                client.post("/_msearch", content=several, headers=NDJSON | coding)
                for client in (shop.direct, shop.through)
            )
            assert through.headers["x-rerank"] == "reranked;searches=1;of=1"
            assert through.headers.get("content-encoding") == direct.headers.get("content-encoding"), accepted
            assert len(through.json()["responses"][0]["hits"]["hits"]) == 7


def test_a_profile_is_that_of_the_callers_own_query(shop: Shop) -> None:
    direct, through = shop.both({"query": FEW, "size": 20, "profile": True})
    kinds = [
        [query["type"] for shard in reply.json()["profile"]["shards"] for query in shard["searches"][0]["query"]]
        for reply in (direct, through)
    ]

    assert kinds[0] == kinds[1]


def test_pretty_and_filter_path_are_the_engines_own(shop: Shop) -> None:
    """With what changes from one request to the next left out."""
    body = {"query": FEW, "size": 20, "aggs": AGGS, "highlight": {"fields": {"title": {}}}, "sort": "_score"}
    body["_source"] = {"excludes": "vector"}  # whose numbers OpenSearch spells anew where it filters
    for filter_path in (
        *("hits.hits", "hits.hits._id,aggregations", "hits.hits._source.t*,hits.total.value", "**._id", "-took"),
        *("hits,-hits.hits._source", "hits.hits.highlight,hits.max_score", "hits.*.title,hits.hits._source.brand"),
        "-hits.hits._source.title,-**.doc_count,-took,-_shards",
    ):
        direct, through = shop.both(body, f"?filter_path={filter_path}")
        ours, theirs = (_sorted_hits(reply.json()) for reply in (through, direct))
        assert ours == theirs, filter_path
    direct, through = shop.both(
        body | {"from": 0, "size": 30}, "?pretty&filter_path=hits.total,hits.hits._index,aggregations"
    )
    assert through.text == direct.text


def _sorted_hits(reply: JSON) -> JSON:
    reply.pop("took", None)
    hits = reply.get("hits", {}).get("hits")
    if hits:
        reply["hits"]["hits"] = sorted(json.dumps({**hit, "_score": 0}) for hit in hits)
    return reply


@pytest.mark.parametrize("mode", ["bounded", "union"])
def test_pages_go_on_behind_the_window_without_a_repeat_or_a_gap(shop: Shop, mode: str) -> None:
    first = shop.ask({"query": APART, "size": 5}, X_Rerank=mode)
    theirs = shop.direct.post(shop.path, json={"query": APART, "size": 200}).json()["hits"]
    pages = [first, *(shop.ask({"query": APART, "size": 5, "from": 5 * page}, X_Rerank=mode) for page in range(1, 31))]
    hits = [hit for page in pages for hit in page["hits"]["hits"]]
    ids, scores = [hit["_id"] for hit in hits], [hit["_score"] for hit in hits]
    total = first["hits"]["total"]["value"]

    assert len(ids) == len(set(ids)) == total
    assert {hit["_id"] for hit in theirs["hits"]} <= set(ids)
    assert total == theirs["total"]["value"] if mode == "bounded" else total > theirs["total"]["value"]
    assert all(page["hits"]["total"]["value"] == total for page in pages)
    assert all(page["hits"]["max_score"] == scores[0] for page in pages)
    assert all(score > 0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert all(page["hits"]["hits"] for page in pages[: (total + 4) // 5])


def test_a_page_across_the_end_of_the_window_is_both_halves(shop: Shop) -> None:
    whole = shop.ask({"query": LOOSE, "size": 60})["hits"]["hits"]
    across = shop.ask({"query": LOOSE, "from": 33, "size": 20}, X_Rerank="fresh")["hits"]["hits"]

    assert [hit["_id"] for hit in across] == [hit["_id"] for hit in whole[33:53]]


def test_what_the_dense_leg_alone_finds_joins_loose_queries_and_keeps_to_their_filter(shop: Shop) -> None:
    body = {"query": {"bool": {"must": {"match": {"text": "sofa"}}, "filter": {"term": {"brand": "oak"}}}}, "size": 80}
    strict = {"query": {"match": {"text": {"query": "sofa", "operator": "and"}}}, "size": 80}
    loose = shop.ask(body | {"post_filter": {"range": {"price": {"lt": 50}}}})["hits"]
    found = [PRODUCTS[hit["_id"]] for hit in loose["hits"]]

    assert any("sofa" not in document["text"] for document in found)
    assert all(document["brand"] == "oak" and document["price"] < 50 for document in found)
    assert all("sofa" in PRODUCTS[hit["_id"]]["text"] for hit in shop.ask(strict)["hits"]["hits"])


def test_the_engine_itself_says_what_is_wrong_with_a_search(shop: Shop) -> None:
    for body in (
        {"query": LOOSE, "aggs": {"a": {"nonsense": {}}}},
        {"query": LOOSE, "highlight": {"fields": {"title": {"type": "nonsense"}}}},
        {"query": {"match": {"title": {"query": "sofa", "nonsense": 1}}}},
        {"query": LOOSE, "from": 9_999, "size": 10},
        {"query": LOOSE, "nonsense": 1},
    ):
        direct, through = shop.direct.post(shop.path, json=body), shop.through.post(shop.path, json=body)

        assert (through.status_code, through.json()) == (direct.status_code, direct.json())
        assert direct.status_code == 400


def lines(*pairs: tuple[JSON, JSON]) -> bytes:
    return "".join(json.dumps(line) + "\n" for pair in pairs for line in pair).encode()


def test_an_msearch_answers_each_of_its_searches_in_its_place(shop: Shop) -> None:
    head = {"index": shop.index}
    content = lines(
        (head, {"query": FEW, "size": 20, "aggs": AGGS}),
        ({"index": "nothing-of-this-name"}, {"query": FEW}),
        (head, {"query": {"match_all": {}}, "size": 3, "sort": "price"}),
        (head, {"query": FEW, "size": 0, "aggs": AGGS}),
        (head | {"preference": "_local"}, {"query": LOOSE, "size": 7, "from": 38}),
        (head, {"query": FEW, "size": 20, "highlight": {"fields": {"title": {}}}}),
        (head, {"query": FEW, "aggs": {"a": {"terms": {"field": "title"}}}}),
    )
    direct = shop.direct.post("/_msearch?typed_keys=true", content=content, headers=NDJSON)
    through = shop.through.post("/_msearch?typed_keys=true", content=content, headers=NDJSON | BOUNDED)
    theirs, ours = direct.json()["responses"], through.json()["responses"]

    assert through.headers["x-rerank"].startswith("reranked;searches=3;of=7")
    assert list(through.json()) == list(direct.json())
    for at in (1, 2, 3, 6):
        assert {**ours[at], "took": 0} == {**theirs[at], "took": 0}
    for at in (0, 5):
        assert_alike(httpx.Response(200, json=theirs[at]), httpx.Response(200, json=ours[at]), f"search {at}")
    assert len(ours[4]["hits"]["hits"]) == 7
    assert ours[4]["hits"]["total"] == theirs[4]["hits"]["total"]
    assert [reply["status"] for reply in ours] == [reply["status"] for reply in theirs]


def test_an_msearch_without_a_search_of_ours_passes_through(shop: Shop) -> None:
    content = lines(({"index": shop.index}, {"query": {"match_all": {}}}), ({"index": shop.index}, {"size": 0}))
    reply = shop.through.post("/_msearch", content=content, headers=NDJSON)

    assert reply.headers["x-rerank"] == "passed;reason=no-search-of-ours"
    assert [found["status"] for found in reply.json()["responses"]] == [200, 200]


def test_an_msearch_that_the_engine_refuses_is_refused_in_its_words(shop: Shop) -> None:
    for content in (
        lines(({"index": shop.index}, {"query": LOOSE}), ({"index": shop.index}, {"query": {"nonsense": {}}})),
        lines(({"index": shop.index}, {"query": LOOSE}))[:-1],
        lines(({"index": shop.index, "nonsense": 1}, {"query": LOOSE}), ({"index": shop.index}, {"query": LOOSE})),
    ):
        direct, through = (to.post("/_msearch", content=content, headers=NDJSON) for to in (shop.direct, shop.through))

        assert (through.status_code, through.json()) == (direct.status_code, direct.json())
        assert direct.status_code == 400


def test_what_only_the_dense_leg_finds_counts_in_a_total_of_either_shape(shop: Shop) -> None:
    body = {"query": APART, "size": 5}
    theirs = shop.direct.post(shop.path, json=body).json()["hits"]["total"]["value"]
    ours = shop.ask(body, X_Rerank="union")["hits"]["total"]["value"]

    assert shop.ask(body, "?rest_total_hits_as_int=true", X_Rerank="union")["hits"]["total"] == ours > theirs


def test_totals_as_plain_numbers_work_in_an_msearch_too(shop: Shop) -> None:
    content = lines(({"index": shop.index}, {"query": LOOSE, "size": 5, "from": 38}))
    reply = shop.through.post("/_msearch?rest_total_hits_as_int=true", content=content, headers=NDJSON | BOUNDED)

    assert reply.headers["x-rerank"].startswith("reranked;searches=1"), reply.text
    assert reply.json()["responses"][0]["hits"]["total"] == 80


def test_thirty_two_callers_at_once_get_what_each_gets_alone(shop: Shop) -> None:
    def search(at: int) -> list[tuple[str, str]]:
        body = {"query": {"match": {"title": ("red sofa", "blue lamp", "white rug", "green chair")[at % 4]}}, "size": 8}
        return [(hit["_id"], hit["_source"]["title"]) for hit in shop.ask(body)["hits"]["hits"]]

    alone = [search(at) for at in range(4)]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(search, range(32)))

    assert together == [alone[at % 4] for at in range(32)]


def test_header_and_path_decide_what_passes(shop: Shop) -> None:
    body = {"query": LOOSE, "size": 3}
    off = shop.through.post(shop.path, json=body, headers={"X-Rerank": "off"})
    yaml = shop.through.post(shop.path, json=body, headers={"Accept": "application/yaml"})

    assert off.headers["x-rerank"] == "passed;reason=off"
    assert yaml.headers["content-type"].startswith("application/yaml")
    assert "x-rerank" not in shop.through.post(f"/{shop.index}/_count", json={"query": LOOSE}).headers


def test_a_pipeline_of_the_settings_is_had_by_its_name(shop: Shop) -> None:
    body = {"query": {"match": {"title": "red sofa number"}}, "size": 8}
    replies = [shop.through.post(shop.path, json=body, headers={"X-Rerank": name}) for name in ("union", "cheap", "no")]
    orders = [[hit["_id"] for hit in reply.json()["hits"]["hits"]] for reply in replies]

    assert replies[0].headers["x-rerank"] == "reranked;window=40;mode=union;stages=local"
    assert replies[1].headers["x-rerank"] == "reranked;window=40;mode=union"
    assert replies[2].headers["x-rerank"] == "passed;reason=unknown-pipeline"
    assert orders[0] != orders[1]


def test_a_page_of_a_remembered_order_answers_the_request_that_asks_for_it(shop: Shop) -> None:
    body = {"query": {"match": {"title": "green chair"}}, "size": 3}
    replies = [
        shop.through.post(shop.path, json=body | {"from": start}, headers={"X-Opaque-Id": f"page {start}"})
        for start in (0, 3)
    ]

    assert [reply.headers["x-opaque-id"] for reply in replies] == ["page 0", "page 3"]


def test_fields_that_only_the_request_knows_are_filtered_by_on_every_leg(shop: Shop) -> None:
    """Runtime fields of Elasticsearch: here the whole title, of the document that is nearest to the text."""
    if "x-elastic-product" not in shop.direct.get("/_cluster/health").headers:
        return
    query = {"bool": {"must": [APART], "must_not": [{"term": {"title": "red sofa number 0"}}]}}
    without, found = (
        {hit["_id"] for hit in shop.ask({"query": query, "size": 90, **more}, X_Rerank="union")["hits"]["hits"]}
        for more in ({}, {"runtime_mappings": {"title": {"type": "keyword"}}})
    )

    assert "p0" in without
    assert "p0" not in found
