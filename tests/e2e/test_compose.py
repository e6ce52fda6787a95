"""The compose stack of each profile as docker/ has it, from its engine down to the search at its end.

The corpus is cut to what takes seconds to encode; TEST_COMPOSE_WHOLE=1 takes all of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from loopback_ports import free_port
from support.indices.scratch import drop
from support.programs.stack import Places, Service, Stack, read_services

from connector.evaluation.files.datasets import read_collection
from connector.models.cache import cache_folder
from connector.settings.sections import ClusterSettings

DOCUMENTS, CHARS = 24, 300  # the first of the corpus, and of each that is not the answer


@pytest.mark.live
@pytest.mark.timeout(900)  # it may be the first that waits for the engines
@pytest.mark.parametrize(
    ("profile", "engine"), [("elasticsearch", "es9"), ("opensearch", "os3")], indirect=["engine"], ids=lambda name: name
)
async def test_a_profile_ends_with_a_search_that_was_reranked(
    profile: str, engine: ClusterSettings, tmp_path: Path
) -> None:
    services = read_services(profile)
    index = services["ingest"].environment["CONNECTOR_INDEX_NAME"]
    corpus = services["ingest"].mounts["/corpus"]
    assert corpus
    query = services["search"].command[1]
    mounted = corpus if os.environ.get("TEST_COMPOSE_WHOLE") == "1" else cut_corpus(corpus, tmp_path / "corpus", query)
    stack = Stack(services, places(engine), tmp_path, mounts={"/corpus": mounted})
    await check_engine(services[profile], engine)
    await drop(engine, index)
    try:
        search = await stack.run("search")
        ended = await stack.down()
    finally:
        await stack.down()
        await drop(engine, index)
    found, report = json.loads(search.stdout), json.loads((tmp_path / "volume-data" / "report.json").read_text())

    assert sorted(services) == sorted([profile, "worker", "gateway", "ingest", "search"])
    assert set(stack.events[:2]) == {f"{profile} starts", "worker starts"}
    assert stack.events.index(f"{profile} is healthy") < stack.events.index("ingest starts")
    assert {"ingest completed", "worker is healthy"} < {*stack.events[:-1]}
    assert stack.events[-1] == "search starts"
    assert (report["exit_code"], report["counts"]["written"]) == (0, len(read_documents(mounted)))
    assert search.process
    assert search.process.returncode == 0, search.stderr
    assert found["query"] == query
    assert found["degraded"] == []
    assert len(found["hits"]) == 10
    assert {hit["stage"] for hit in found["hits"]} == {"local"}
    assert all(hit["explain"]["stages"] for hit in found["hits"])
    assert grade(corpus, query, found["hits"][0]["doc_id"]) == 3
    assert ended == {"worker": 128 + signal.SIGTERM}  # within its grace period, not killed
    for name in ("worker", "search"):  # where the image is read-only, nothing was written
        assert [*(tmp_path / name / "workdir").iterdir()] == []


def places(engine: ClusterSettings) -> Places:
    """Where on this machine the stack's addresses and programs are."""
    engine_address, port = urlsplit(engine.url).netloc, str(free_port())
    return Places(
        {
            "engine:9200": engine_address,
            "localhost:9200": engine_address,
            "worker:8787": f"127.0.0.1:{port}",
            "127.0.0.1:8787": f"127.0.0.1:{port}",
            "8787": port,
            "0.0.0.0": "127.0.0.1",
            "/opt/connector/bin": str(Path(sys.executable).parent),
            "/opt/graphs": str(cache_folder().parent),
        }
    )


async def check_engine(service: Service, engine: ClusterSettings) -> None:
    """The engine that stands in for the service's image is of its version, and set up as its environment says."""
    async with httpx.AsyncClient(base_url=engine.url) as client:
        about = (await client.get("/")).json()
        nodes = (await client.get("/_nodes/_local/settings?flat_settings=true")).json()["nodes"]
    product, _, version = service.image.rpartition("/")[2].partition(":")
    (node,) = nodes.values()

    assert about["version"].get("distribution", "elasticsearch") == product
    assert about["version"]["number"] == version
    for name, value in service.environment.items():
        assert "." not in name or node["settings"][name] == value


def cut_corpus(whole: Path, folder: Path, query: str) -> Path:
    """A copy with the first documents and all that are judged for the query: those that answer it whole, of the others
    the beginnings."""
    shutil.copytree(whole, folder)
    judged = judgments(whole, query)
    documents = [json.loads(line) for line in read_documents(whole)]
    kept = [
        document if judged.get(document["_id"]) == 3 else document | {"text": document["text"][:CHARS]}
        for at, document in enumerate(documents)
        if at < DOCUMENTS or document["_id"] in judged
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in kept), encoding="utf-8")
    return folder


def read_documents(corpus: Path) -> list[str]:
    return (corpus / "corpus.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)


def grade(corpus: Path, query: str, doc_id: str) -> int | None:
    return judgments(corpus, query).get(doc_id)


def judgments(corpus: Path, query: str) -> Any:
    collection = read_collection(corpus)
    (query_id,) = [judged_query.query_id for judged_query in collection.queries if judged_query.text == query]
    return collection.qrels[query_id]
