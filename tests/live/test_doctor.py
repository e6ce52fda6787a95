"""The doctor on real stores: healthy ones, and each part around the index broken; it says which part and what to do,
and changes nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.indices.doctoring import COUNT, OF_THE_CLUSTER, fill, look, not_ok, statuses
from support.indices.scratch import drop, unique_name
from support.parts import serving
from support.programs.command import Launcher
from support.servers.http_server import QuietHandler, listening
from support.servers.proxy import Proxy

from connector.doctor import checkup
from connector.models.encoder import Encoder
from connector.models.load import load_scorer
from connector.models.scorer import Scorer
from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.worker.app import create_app

pytestmark = pytest.mark.usefixtures("patient_doctor")


@pytest.fixture(scope="module")
def filled(store: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index of each store that tests only look at."""
    name = unique_name()
    asyncio.run(fill(store, name, encoder))
    yield name
    asyncio.run(drop(store, name))


async def test_all_is_well_where_all_is_well(store: ClusterSettings, filled: str, worker: WorkerProcess) -> None:
    found = await look(store, filled, worker.url)

    assert not_ok(found) == {}
    assert {"settings", "cluster", "health", "index", "mapping", "copies", "documents", "encoder",
            "encoder of the index", "reranker local", "speed of local", "query"} <= set(found)  # fmt: skip
    assert found["documents"].facts == {"documents": COUNT, "with_vectors": COUNT}
    if "vector index" in found:  # which the embedded store has none of
        assert found["vector index"].facts["vectors"] >= COUNT
    assert ("vector index" in found) == store.url.startswith("http")
    assert found["encoder"].facts["dims"] == 384
    assert found["encoder"].facts["query_ms"] >= 0  # the tests' encoder remembers a text that it had before
    assert (found["reranker local"].facts["kind"], found["reranker local"].facts["model"]) == (
        "late-interaction",
        "all-MiniLM-L6-v2",
    )
    assert found["speed of local"].facts["pairs_per_s"] > 0
    assert found["query"].facts["degraded"] == []
    assert {"lexical", "dense", "encode", "fuse", "local", "fields", "total"} <= set(found["query"].facts["took_ms"])


async def test_without_a_worker_the_rest_is_looked_at(store: ClusterSettings, filled: str) -> None:
    found = await look(store, filled, "http://127.0.0.1:9")

    assert not_ok(found) == {"reranker local": "fail", "speed of local": "skip", "query": "warn"}
    assert found["reranker local"].advice == "start one with: connector worker"
    assert found["query"].facts["degraded"] == ["local"]


async def test_reranking_that_is_off_needs_no_worker(embedded: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    await fill(embedded, name, encoder)
    found = await look(embedded, name, None)

    assert not_ok(found) == {"reranker": "skip"}
    assert found["query"].facts["degraded"] == []


class WebPage(QuietHandler):
    """Answers everything with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "13")
        self.end_headers()
        self.wfile.write(b"<html></html>")

    do_POST = do_GET


@pytest.fixture(scope="module")
def web_page() -> Iterator[str]:
    with listening(WebPage) as url:
        yield url


@pytest.fixture(scope="module")
def small(embedded: ClusterSettings, encoder: Encoder) -> str:
    """An index of the embedded store, for what need not be seen on each."""
    name = unique_name()
    asyncio.run(fill(embedded, name, encoder))
    return name


async def test_a_worker_that_still_loads_is_told_from_one_that_is_not_there(
    embedded: ClusterSettings, small: str
) -> None:
    loading = threading.Event()

    def load_slowly() -> Scorer:
        loading.wait(240)
        return load_scorer(WorkerSettings(), WorkerSettings())

    with serving(create_app(load_slowly, WorkerSettings())) as url:
        found = await look(embedded, small, url)
        loading.set()

    assert (found["reranker local"].status, found["speed of local"].status) == ("fail", "skip")
    assert "the model is still loading" in found["reranker local"].seen
    assert found["reranker local"].advice == "try again in a few seconds"


async def test_what_is_no_worker_is_called_so(embedded: ClusterSettings, small: str, web_page: str) -> None:
    found = await look(embedded, small, web_page)

    assert (found["reranker local"].status, found["reranker local"].advice) == ("fail", "is a worker running there?")


async def test_a_worker_that_is_too_slow_for_the_deadline_is_pointed_at(
    embedded: ClusterSettings, small: str, worker: WorkerProcess
) -> None:
    found = await look(embedded, small, worker.url, search__deadline_s=0.1)

    assert found["speed of local"].status == "warn"
    assert "search.deadline_s (0.1 s)" in found["speed of local"].advice


async def test_a_model_that_cannot_be_had_is_named(
    embedded: ClusterSettings, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    found = await look(embedded, small, None, encoder__model="./no-such-model")

    assert statuses(found, "encoder") == {"fail"}
    assert statuses(found, "encoder of the index", "query") == {"skip"}
    assert "there is no model folder './no-such-model'" in found["encoder"].seen


async def test_a_cluster_that_is_not_there_leaves_the_rest_skipped(worker: WorkerProcess) -> None:
    found = await look(ClusterSettings(url="http://127.0.0.1:9"), "any", worker.url)

    assert statuses(found, "cluster") == {"fail"}
    assert statuses(found, *OF_THE_CLUSTER, "query") == {"skip"}
    assert statuses(found, "encoder", "reranker local", "speed of local") == {"ok"}
    assert "is the cluster running" in found["cluster"].advice


@asynccontextmanager
async def stalling(settings: ClusterSettings) -> AsyncIterator[ClusterSettings]:
    """The way to an engine that answers who it is, and to nothing else."""
    async with Proxy(settings.url, lambda seen: None if seen.path == "/" else "stall") as proxy:
        yield ClusterSettings(url=proxy.url)


async def test_a_cluster_that_never_answers_costs_each_check_its_time(
    engine: ClusterSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "CHECK_S", 1.0)
    async with stalling(engine) as stalled:
        started = time.monotonic()
        found = await look(stalled, "any", None)
        took_s = time.monotonic() - started

    assert statuses(found, "cluster") == {"ok"}
    assert statuses(found, "health", "access", "index") == {"fail"}
    assert statuses(found, "mapping", "copies", "documents", "query") == {"skip"}
    assert took_s < 60


async def test_a_web_page_in_place_of_a_cluster_is_no_reason_to_break(web_page: str) -> None:
    found = await look(ClusterSettings(url=web_page, engine="opensearch"), "any", None)

    assert statuses(found, "index", "health") == {"fail"}


async def test_the_command_prints_its_findings_and_says_by_its_code_whether_one_failed(
    launcher: Launcher, embedded: ClusterSettings, small: str, worker: WorkerProcess, tmp_path: Path
) -> None:
    flags = ("--cluster", embedded.url, "-i", small, "--set", "search.deadline_s=300")
    healthy = launcher.run("doctor", *flags, "--worker", worker.url, "--json", cwd=tmp_path)
    sick = launcher.run("doctor", *flags, "--worker", "http://127.0.0.1:9", cwd=tmp_path)
    refused = launcher.run("doctor", *flags, "--set", "search.k=0", cwd=tmp_path)
    found = json.loads(healthy.stdout)

    assert (healthy.code, sick.code, refused.code) == (0, 1, 2)
    assert found["ok"]
    assert {finding["status"] for finding in found["findings"]} == {"ok"}
    assert all(set(finding) == {"check", "status", "seen", "advice", "facts"} for finding in found["findings"])
    assert "→ start one with: connector worker" in sick.stdout
    assert sick.stderr.splitlines()[-1].endswith("1 fail, 1 skip")
    assert "search.k" in refused.stderr
