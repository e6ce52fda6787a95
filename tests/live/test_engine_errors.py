"""What each engine refuses, and the words in which that reaches the user: the engine's innermost reason, and what to
do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.indices.scratch import unique_name

from connector.clusters.clients import Client
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.errors import ClusterError
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live
Ask = Callable[[Client, str], Any]
FIELDS = {
    "text": {"type": "text"},
    "count": {"type": "integer"},
    "live": {"type": "boolean"},
    "day": {"type": "date"},
    "address": {"type": "ip"},
    "hidden": {"type": "keyword", "index": False, "doc_values": False},
}


def vector(kind: str, **options: Any) -> dict[str, Any]:
    if kind == "elasticsearch":
        return {"type": "dense_vector", "dims": 4} | options
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    return {"type": "knn_vector", "dimension": 4, "method": method} | options


@pytest.fixture
async def index(engine: ClusterSettings) -> AsyncIterator[tuple[RestCluster, str]]:
    cluster, name = await connect(engine), unique_name()
    assert isinstance(cluster, RestCluster)
    kind = cluster.engine.kind
    bytes_of = {"element_type": "byte"} if kind == "elasticsearch" else {"data_type": "byte"}
    plain = {"index": False} if kind == "elasticsearch" else {}
    unindexed = vector(kind, **plain)
    properties = FIELDS | {"vec": vector(kind), "bytes": vector(kind, **bytes_of)}
    properties |= {"plain": unindexed} if kind == "elasticsearch" else {}
    settings: dict[str, Any] = {"index.max_result_window": 100}
    settings |= {} if kind == "elasticsearch" else {"index.knn": True}
    body = {"settings": settings, "mappings": {"properties": properties}}
    await cluster.client.request("PUT", f"/{name}", body=body, timeout_s=60)
    document = {"text": "kiln", "count": 3, "vec": [1.0, 0.5, 0.1, 0.1]}
    await cluster.client.request("PUT", f"/{name}/_doc/1?refresh=true", body=document, timeout_s=60)
    yield cluster, name
    await cluster.client.request("DELETE", f"/{name}", timeout_s=60)
    await cluster.close()


def searching(body: dict[str, Any]) -> dict[str, Any]:
    return {"path": "_search", "body": body}


def filtering(query: dict[str, Any]) -> dict[str, Any]:
    return searching({"query": {"bool": {"filter": [query]}}})


def knn(kind: str, field: str, values: list[float]) -> dict[str, Any]:
    if kind == "elasticsearch":
        return searching({"knn": {"field": field, "query_vector": values, "k": 3, "num_candidates": 9}})
    return searching({"query": {"knn": {field: {"vector": values, "k": 3}}}})


FLOATS = [0.1, 0.2, 0.3, 0.4]
REASONS = {
    "window": (searching({"size": 101}), r"Result window is too large.*; lower search\.depth"),
    "a word for a number": (
        filtering({"terms": {"count": ["abc"]}}),
        r'For input string: "abc".*; give the filter a value',
    ),
    "a word for a boolean": (
        filtering({"term": {"live": "maybe"}}),
        r"Can't parse boolean value.*; give the filter a value",
    ),
    "a word for an address": (
        filtering({"term": {"address": "x"}}),
        r"'x' is not an IP string.*; give the filter a value",
    ),
    "a field without any index": (
        filtering({"term": {"hidden": "x"}}),
        r"Cannot search on field \[hidden\].*; use a field",
    ),
    "an unknown analyzer": (
        searching({"query": {"match": {"text": {"query": "x", "analyzer": "klingon"}}}}),
        r"analyzer \[klingon\] not found.*; set index\.analyzer",
    ),
    "too many clauses": (
        filtering({"bool": {"should": [{"term": {"text": str(number)}} for number in range(20_000)]}}),
        r"maxClauseCount is set to \d+.*; use fewer words",
    ),
    "a language for scripts that is not there": (
        searching({"query": {"script_score": {"query": {"match_all": {}}, "script": {"lang": "x", "source": "1"}}}}),
        r"script_lang not supported \[x\].*; the cluster runs no such scripts",
    ),
    "a query that does not exist": (searching({"query": {"nope": {}}}), r"unknown query \[nope\]"),
    "sorting by words": (searching({"sort": ["text"]}), r"Text fields are not optimised.*; use the keyword subfield"),
    "a vector of another size": (
        lambda kind: knn(kind, "vec", [0.1, 0.2, 0.3]),
        r"dimension.*; set encoder\.model to the model that filled the field",
    ),
    "floats for bytes": (
        lambda kind: knn(kind, "bytes", FLOATS),
        r"(element_type|data_type).*byte.*; the field holds vectors",
    ),
}


@pytest.mark.parametrize("case", REASONS)
async def test_the_engines_own_reason_and_what_to_do_reach_the_user(index: tuple[RestCluster, str], case: str) -> None:
    cluster, name = index
    asked, words = REASONS[case]
    request = asked(cluster.engine.kind) if callable(asked) else asked

    with pytest.raises(ClusterError, match=words) as caught:
        await cluster.client.request("POST", f"/{name}/{request['path']}", body=request["body"], timeout_s=60)
    assert "all shards failed" not in str(caught.value)
    assert "Preview of" not in str(caught.value)


async def test_vectors_that_are_not_indexed_are_called_so(index: tuple[RestCluster, str]) -> None:
    cluster, name = index
    if cluster.engine.kind == "opensearch":  # there the index has the switch, not the field
        other = {"mappings": {"properties": {"plain": {"type": "knn_vector", "dimension": 4}}}}
        await cluster.client.request("DELETE", f"/{name}", timeout_s=60)
        await cluster.client.request("PUT", f"/{name}", body=other, timeout_s=60)
        await cluster.client.request("PUT", f"/{name}/_doc/1?refresh=true", body={"plain": FLOATS}, timeout_s=60)
    request = knn(cluster.engine.kind, "plain", FLOATS)

    with pytest.raises(
        ClusterError, match=r"(\[index\] set to \[true\]|not built for ANN).*; the vectors of this field"
    ):
        await cluster.client.request("POST", f"/{name}/_search", body=request["body"], timeout_s=60)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("POST", "_close", None), r"closed.*; the index is closed; open it: POST INDEX/_open"),
        (
            ("PUT", "_settings", {"index.blocks.read": True}),
            r"takes no reads: .*index read .*\"index.blocks.read\": false",
        ),
    ],
    ids=["closed", "blocked"],
)
async def test_an_index_that_cannot_be_read_is_called_so(
    index: tuple[RestCluster, str], change: Any, words: str
) -> None:
    cluster, name = index
    method, action, body = change
    await cluster.client.request(method, f"/{name}/{action}", body=body, timeout_s=60)

    with pytest.raises(ClusterError, match=words):
        await cluster.client.request("POST", f"/{name}/_search", body={}, timeout_s=60)


@pytest.mark.parametrize(
    ("name", "mappings", "words"),
    [
        ("Upper-Case", {}, r"Invalid index name \[Upper-Case\], must be lowercase.*; choose another index\.name"),
        (
            "test-unmade",
            {"properties": {"t": {"type": "text", "analyzer": "klingon"}}},
            r"analyzer \[klingon\] has not been configured in mappings.*; set index\.analyzer",
        ),
        ("test-unmade", {"properties": {"t": {"type": "nonsense"}}}, r"nonsense"),
    ],
    ids=["name", "analyzer", "type"],
)
async def test_an_index_that_cannot_be_made_is_refused_with_the_reason(
    engine: ClusterSettings, name: str, mappings: Any, words: str
) -> None:
    cluster = await connect(engine)
    assert isinstance(cluster, RestCluster)
    try:
        with pytest.raises(ClusterError, match=words):
            await cluster.client.request("PUT", f"/{name}", body={"mappings": mappings}, timeout_s=60)
    finally:
        await cluster.close()
