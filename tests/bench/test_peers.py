"""Every program in bench/peer/ runs as `make bench-peers` runs it: five documents, two queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.indices.scratch import drop, engine_client
from support.programs.benches import BENCH, Bench

from connector.settings.sections import ClusterSettings

OURS, ON_ELASTICSEARCH, ON_OPENSEARCH = "hybrid_search_connector", "elasticsearch_itself", "opensearch_itself"
ELSEWHERE = {
    "langchain_elasticsearch": "LangChain is in an environment of its own, which `make bench-peers` makes",
    "haystack_elasticsearch": "Haystack is in an environment of its own, which `make bench-peers` makes",
}
SMALL = ("--queries", "2", "--documents", "5")

pytestmark = pytest.mark.timeout(900)


def test_every_peer_has_a_run_here_or_a_reason_why_not() -> None:
    programs = {file.stem for file in (BENCH / "peer").glob("*.py")} - {"__init__"}
    starts_them = "run"

    assert programs == {starts_them, OURS, ON_ELASTICSEARCH, ON_OPENSEARCH, *ELSEWHERE}


@pytest.mark.live
async def test_elasticsearch_as_far_as_its_minimal_server_has_it(
    run_torch: Bench, elasticsearch: ClusterSettings
) -> None:
    """The server of the tests has no module for the retrievers: the documents are written, and the search refused."""
    given = ["--peers", OURS, ON_ELASTICSEARCH, "--engines", "elasticsearch", "--elasticsearch", elasticsearch.url]
    try:
        report = run_torch("peers", "slice", *given, *SMALL, "--ways", "fused")
        written = count(elasticsearch, index_of(ON_ELASTICSEARCH, "fused"))
    finally:
        for peer in (OURS, ON_ELASTICSEARCH):
            await drop(elasticsearch, index_of(peer, "fused"))

    ours, theirs = report["peers"].values()
    assert ours["nDCG@10"] > 0.3
    assert 5 < ours["lines"] < 50
    assert written >= report["documents"] == 5
    assert "nDCG@10" in theirs or "rrf" in theirs["failed"].lower()


@pytest.mark.live
@pytest.mark.usefixtures("as_it_was")
async def test_opensearch(run_torch: Bench, opensearch: ClusterSettings) -> None:
    given = ["--peers", OURS, ON_OPENSEARCH, "--engines", "opensearch", "--opensearch", opensearch.url]
    try:
        report = run_torch("peers", "slice", *given, *SMALL, "--ways", "reranked")
    finally:
        for peer in (OURS, ON_OPENSEARCH):
            await drop(opensearch, index_of(peer, "reranked"))

    ours, theirs = report["peers"].values()
    assert ours["searches_per_s"] > 0
    for reranked in (ours, theirs):
        assert reranked.get("failed") is None
        assert reranked["nDCG@10"] > 0.3


@pytest.fixture
def as_it_was(opensearch: ClusterSettings) -> Iterator[None]:
    """The pipeline, the model and the connector that the peer leaves are taken out of an engine that others use too."""
    name = index_of(ON_OPENSEARCH, "reranked")
    yield
    with engine_client(opensearch) as engine:
        engine.delete(f"/_search/pipeline/{name}").raise_for_status()
        engine.post("/.plugins-ml-*/_refresh").raise_for_status()
        for model in named(engine, "models", name):
            engine.post(f"/_plugins/_ml/models/{model}/_undeploy").raise_for_status()
            engine.delete(f"/_plugins/_ml/models/{model}").raise_for_status()
        for connector in named(engine, "connectors", name):
            engine.delete(f"/_plugins/_ml/connectors/{connector}").raise_for_status()


def named(engine: httpx.Client, kind: str, name: str) -> list[str]:
    """The ids of what ML Commons has under a name."""
    found: Any = engine.post(f"/_plugins/_ml/{kind}/_search", json={"query": {"match_phrase": {"name": name}}}).json()
    return [hit["_id"] for hit in found["hits"]["hits"] if hit["_source"]["name"] == name]


def index_of(peer: str, way: str) -> str:
    return f"peers-{peer}-{way}".replace("_", "-")


def count(cluster: ClusterSettings, index: str) -> int:
    return int(httpx.get(f"{cluster.url}/{index}/_count").json()["count"])
