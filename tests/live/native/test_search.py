"""The worker inside OpenSearch: a plain `_search` through the pipeline is answered hybrid, in the order of the worker's
scores."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from support.indices.native import (
    ARTICLES,
    ON_3,
    ON_OURS,
    WINDOW,
    elsewhere,
    install,
    refresh,
    remove,
    settings_for,
    show,
    states,
)
from support.indices.scratch import engine_client
from support.parts import serving
from support.programs.command import Finished, Launcher
from support.worker.worker_app import wait_ready

from connector.errors import ClusterError
from connector.lexical import LexicalQuery
from connector.models.load import load_scorer
from connector.native.plan import EXAMPLE_QUERY, ExampleSearch, PartNames
from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings, Settings, WorkerSettings
from connector.wiring import open_cluster, open_index
from connector.worker.app import create_app

QUERY = 'how do I get my money back for a "used" device\nafter ten days'  # shares no word with the article on refunds


async def lexical(settings: Settings, query: str) -> list[str]:
    """What the lexical leg of a `connector search` finds."""
    cluster = await open_cluster(settings)
    try:
        index = await open_index(cluster, settings)
        answer = await index.lexical(LexicalQuery(query), depth=5, filter=None, timeout_s=30)
        return [hit.doc_id for hit in answer.ranking]
    finally:
        await cluster.close()


def search(engine: httpx.Client, example: ExampleSearch, query: str, **changes: Any) -> list[dict[str, Any]]:
    """The hits of the example with another query."""
    body = json.loads(json.dumps(example.body).replace(json.dumps(EXAMPLE_QUERY), json.dumps(query)))
    method, path = example.request.split()
    reply = engine.request(method, path, json=body | changes)
    assert reply.status_code == 200, reply.text
    hits: list[dict[str, Any]] = reply.json()["hits"]["hits"]
    return hits


def scores_of_the_worker(worker_url: str, query: str) -> dict[str, float]:
    """The score of each article, its title and text as OpenSearch puts them together: without anything between them."""
    texts = [title + text for title, text in ARTICLES.values()]
    reply = httpx.post(f"{worker_url}/v2/rerank", json={"query": query, "documents": texts}, timeout=60)
    found = {result["index"]: result["relevance_score"] for result in reply.json()["results"]}
    return {doc_id: found[at] for at, doc_id in enumerate(ARTICLES)}


@contextmanager
def somebody_elses(engine: httpx.Client, names: PartNames) -> Iterator[None]:
    """A connector of our name, and a model and pipelines whose names look like ours, all of which somebody else
    made. The model is of a connector whose id has no word in common with ours: else it would keep them, see
    test_states.py."""
    name = f"connector-{names.index}-theirs"
    action = {"action_type": "predict", "method": "POST", "url": "http://127.0.0.1:1/", "request_body": "{}"}
    connector = {
        "name": names.rerank,
        "description": "theirs",
        "version": 1,
        "protocol": "http",
        "credential": {"key": "k"},
    }
    made = engine.post("/_plugins/_ml/connectors/_create", json=connector | {"actions": [action]}).json()
    asked = {"name": name, "function_name": "remote", "connector_id": made["connector_id"]}
    model = engine.post("/_plugins/_ml/models/_register", json=asked).json()["model_id"]
    group = engine.get(f"/_plugins/_ml/models/{model}").json()["model_group_id"]
    moved = {"doc": {"connector_id": "theirs"}}
    engine.post(f"/.plugins-ml-model/_update/{model}", json=moved, params={"refresh": "true"}).raise_for_status()
    engine.put(f"/_search/pipeline/{name}", json={"description": "theirs"}).raise_for_status()
    engine.put(f"/_ingest/pipeline/{name}", json={"description": "theirs", "processors": []}).raise_for_status()
    try:
        yield
    finally:
        engine.delete(f"/_search/pipeline/{name}").raise_for_status()
        engine.delete(f"/_ingest/pipeline/{name}").raise_for_status()
        engine.delete(f"/_plugins/_ml/models/{model}").raise_for_status()
        engine.delete(f"/_plugins/_ml/model_groups/{group}").raise_for_status()
        engine.delete(f"/_plugins/_ml/connectors/{made['connector_id']}").raise_for_status()


def everything_in(engine: httpx.Client) -> str:
    """All connectors, models, model groups and pipelines of an engine, as text that can be compared."""
    refresh(engine)
    held = []
    for kind in ("connectors", "models", "model_groups"):
        reply = engine.post(f"/_plugins/_ml/{kind}/_search", json={"query": {"match_all": {}}, "size": 1000}).json()
        text_of = (
            operator.itemgetter("name") if kind == "model_groups" else json.dumps
        )  # a group counts its models, in the end
        held += sorted(f"{kind} {hit['_id']} {text_of(hit['_source'])}" for hit in reply["hits"]["hits"])
    pipelines = [engine.get(path).text for path in ("/_search/pipeline", "/_ingest/pipeline")]
    return "\n".join(held + pipelines)


async def test_a_plain_search_is_hybrid_and_comes_in_the_order_of_the_workers_scores(
    settings: Settings, worker: WorkerProcess
) -> None:
    installed = await install(settings)
    size = installed.example.body["size"]
    with engine_client(settings.cluster) as engine:
        hits = search(engine, installed.example, QUERY)
        # without a query for the reranker the pipeline gives the fused order, of as many hits as it is asked for
        fused = [hit["_id"] for hit in search(engine, installed.example, QUERY, size=WINDOW, ext={})]
    scores = scores_of_the_worker(worker.url, QUERY)
    reranked = sorted(fused, key=lambda doc_id: -scores[doc_id])

    assert set(states(installed.parts).values()) == {"made"}
    assert fused[:size] != reranked[:size], "the query tells the two orders apart"
    assert [hit["_id"] for hit in hits] == reranked[:size]
    assert [hit["_score"] for hit in hits] == pytest.approx([scores[hit["_id"]] for hit in hits], rel=1e-5)
    assert hits[0]["_id"] == "refund", "which its vector alone finds"
    assert not {"passages", "embedding"} & set(hits[0]["_source"])


@ON_OURS
async def test_a_second_installation_changes_nothing_and_another_address_what_calls_it(settings: Settings) -> None:
    await install(settings)
    again = await install(settings)
    changed = await install(elsewhere(settings))
    with engine_client(settings.cluster) as engine:
        hits = search(engine, changed.example, QUERY)

    assert set(states(again.parts).values()) == {"unchanged"}
    assert states(changed.parts) == {
        "connector rerank": "changed",
        "model rerank": "changed",
        "connector embedding": "changed",
        "model embedding": "changed",
        "ingest pipeline ingest": "unchanged",
        "search pipeline search": "unchanged",
    }
    assert hits[0]["_score"] > 0.4, "a score of the worker, not of the fusion"


@ON_OURS
async def test_it_is_shown_with_its_state_and_removed_without_a_trace(settings: Settings) -> None:
    with engine_client(settings.cluster) as engine, somebody_elses(engine, PartNames(settings.index.name)):
        before = everything_in(engine)
        installed = await install(settings)
        search(engine, installed.example, QUERY)
        search(engine, installed.example, QUERY, ext={})
        parts, detail = await show(settings)
        removed = await remove(settings)
        after = everything_in(engine)
        shown_after, _ = await show(settings)

    assert before == after
    assert {parts["model rerank"], parts["model embedding"]} == {"deployed"}
    assert detail["search pipeline search"] == "2 searches, 1 of them not reranked"
    assert set(removed.values()) == {"removed"}
    # where the ids of a node have a word in common, any model keeps any connector from being removed
    kinds = [label.rpartition(" ")[0] for label in removed]
    assert max(at for at, kind in enumerate(kinds) if kind == "model") < kinds.index("connector")
    assert set(removed) == {*parts, "model group rerank", "model group embedding"}
    assert set(shown_after.values()) == {"not there"}


async def test_what_is_ingested_gets_its_vectors(settings: Settings) -> None:
    await install(settings)
    text = "The canteen serves lentil soup on Wednesdays."
    fields = {"headline": "Canteen", "body": text}
    neural: dict[str, Any] = {"neural": {"embedding": {"query_text": text, "k": 1}}}
    if settings.index.vector_field is None:
        fields = {"title": "Canteen", "text": text, "unit": "document", "passages": [{"text": text}]}
        neural = {
            "nested": {"path": "passages", "query": {"neural": {"passages.vector": {"query_text": text, "k": 1}}}}
        }
    names = PartNames(settings.index.name)
    with engine_client(settings.cluster) as engine:
        params = {"pipeline": names.ingest, "refresh": "true"}
        written = engine.put(f"/{names.index}/_doc/canteen", json=fields, params=params)
        body = {"query": neural, "size": 1}
        found = engine.post(f"/{names.index}/_search", json=body, params={"search_pipeline": names.search})
        ours = await lexical(settings, "lentil soup")
        engine.delete(f"/{names.index}/_doc/canteen", params={"refresh": "true"})

    assert written.status_code == 201, written.text
    assert found.json()["hits"]["hits"][0]["_id"] == "canteen"
    assert ours == ["canteen"], "which has no doc_id, since the connector did not write it"
    assert found.json()["hits"]["hits"][0]["_score"] == pytest.approx(1.0, abs=0.02)  # the cosine of itself, quantised


@ON_3
async def test_a_search_goes_on_in_the_fused_order_when_the_worker_has_gone(
    ml_opensearch: ClusterSettings, managed: str
) -> None:
    with working(WorkerSettings()) as url:
        settings = settings_for(ml_opensearch, managed, url, **{"native.embeddings": False})
        installed = await install(settings)
    with engine_client(ml_opensearch) as engine:
        hits = search(engine, installed.example, "refund for sensors")
    await remove(settings)

    assert hits[0]["_id"] == "refund"


@contextmanager
def working(settings: WorkerSettings) -> Iterator[str]:
    """The URL of a worker in this process, which ends with the block."""
    with serving(create_app(lambda: load_scorer(settings, settings), settings)) as url:
        yield wait_ready(url)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A worker that asks for a key."""
    with working(WorkerSettings(api_keys=SecretStr("sesame simsim"))) as url:
        yield url


@ON_3
async def test_the_workers_key_goes_along_and_a_new_one_is_noticed(
    ml_opensearch: ClusterSettings, managed: str, guarded: str
) -> None:
    done = []
    for key in (None, "wrong", "sesame", "sesame", "simsim"):
        environ = {"CONNECTOR_RERANKERS_LOCAL_API_KEY": key} if key else {}
        settings = settings_for(ml_opensearch, managed, guarded, environ, **{"native.embeddings": False})
        try:
            done.append(states((await install(settings)).parts)["connector rerank"])
        except ClusterError as error:
            done.append(str(error))
    with engine_client(ml_opensearch) as engine:
        refresh(engine)
        stored = engine.post("/_plugins/_ml/connectors/_search", json={"query": {"match_all": {}}}).text
    await remove(settings)

    assert f"the cluster reached {guarded}, which refused" in done[0]
    assert "rerankers.NAME.api_key" in done[1]
    assert done[2:] == ["changed", "unchanged", "changed"]
    assert "simsim" not in stored


@ON_3
def test_the_command_prints_a_table_and_a_search_to_paste(
    ml_opensearch: ClusterSettings, managed: str, worker_url: str, launcher: Launcher, tmp_path: Path
) -> None:
    def native(*words: str) -> Finished:
        return launcher.run("native", *words, "--cluster", ml_opensearch.url, "--index", managed, cwd=tmp_path)

    installed = native("install", "--worker-url", worker_url)
    request, body = re.split(r"(?<=search)\n", installed.stdout[installed.stdout.index("POST ") :], maxsplit=1)
    with engine_client(ml_opensearch) as engine:
        pasted = engine.post(request.removeprefix("POST "), json=json.loads(body))
    parts = json.loads(native("show", "--json").stdout)
    removed = native("remove")
    again = native("remove")

    assert (installed.code, installed.stderr) == (0, "")
    assert f"connector-{managed}-rerank" in installed.stdout
    assert pasted.json()["hits"]["hits"][0]["_id"] == "deal"
    assert {part["state"] for part in parts} == {"there", "deployed"}
    assert (removed.code, removed.stdout.count("removed")) == (0, 8), removed.stderr
    assert again.stderr.strip() == f"nothing is installed for {managed}"
