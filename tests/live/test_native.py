"""The worker inside OpenSearch: a plain `_search` through the pipeline is answered hybrid, in the order of the worker's
scores."""

from __future__ import annotations

import asyncio
import json
import operator
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from support.command import Finished, Launcher
from support.parts import serving, wait_until
from support.scratch import drop, unique_name
from support.worker_app import wait_ready

from connector.clusters.connect import connect
from connector.errors import ClusterError, SettingsError
from connector.ingest.passages import cut
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.models.load import load_scorer
from connector.native.opensearch import HOLDINGS
from connector.native.plan import EXAMPLE_QUERY, ExampleSearch, Installed, Part, PartNames
from connector.native.planning import build_plan
from connector.remote.process import WorkerProcess
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings, WorkerSettings
from connector.types import Document, IndexedDocument
from connector.wiring import build_schema, open_cluster, open_index, open_native
from connector.worker.app import create_app

ARTICLES = {
    "refund": ("Returning hardware", "Opened sensors can be returned for a refund within two weeks."),
    "cold": ("Cold rooms", "The temperature of a cold room is checked twice a day."),
    "deal": ("Partner programme", "A registered deal is protected for ninety days, for each tier of partner."),
    "holiday": ("Holiday calendar", "Offices are closed between Christmas and New Year."),
    "firmware": ("Gateway firmware", "A gateway must run the current firmware to be supported."),
    "invoice": ("Invoices", "An invoice is paid within thirty days of its date."),
    "carrier": ("Carriers", "A parcel that a carrier has lost is sent again at no cost."),
    "alarm": ("Alarms", "An alarm that nobody confirms is passed on after ten minutes."),
}
QUERY = 'how do I get my money back for a "used" device\nafter ten days'  # shares no word with the article on refunds
WINDOW = 6
SIZES = {"search.k": 3, "search.rerank": {"window": WINDOW}}
FOREIGN = {
    "index.text_fields": {"headline": 2.0, "body": 1.0},
    "index.vector_field": "embedding",
    "native.field": "body",
}
MODEL_SETTINGS = "/.plugins-ml-model/_settings"

# what need not be seen on each server, and on each kind of index
ON_3 = pytest.mark.parametrize("ml_opensearch", [pytest.param("os3", marks=pytest.mark.live)], indirect=True)
ON_OURS = pytest.mark.parametrize("settings", ["managed"], indirect=True)


@pytest.fixture(scope="module")
def worker_url(worker: WorkerProcess) -> str:
    return worker.url


@pytest.fixture(scope="module")
def managed(ml_opensearch: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index of ours with the articles."""
    name = unique_name()
    asyncio.run(_fill(ml_opensearch, name, encoder))
    yield name
    asyncio.run(drop(ml_opensearch, name))


@pytest.fixture(scope="module")
def foreign(ml_opensearch: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index that somebody else made, with the articles in fields of its own."""
    name = unique_name()
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    properties = {
        "tiny": {"type": "knn_vector", "dimension": 3, "method": method},
        "headline": {"type": "text"},
        "body": {"type": "text"},
        "embedding": {"type": "knn_vector", "dimension": encoder.fingerprint.dims, "method": method},
    }
    with engine_of(ml_opensearch) as engine:
        body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": properties}}
        engine.put(f"/{name}", json=body).raise_for_status()
        for doc_id, (title, text) in ARTICLES.items():
            vector = encoder.encode([f"{title}\n{text}"])[0].tolist()
            document = {"headline": title, "body": text, "embedding": vector}
            engine.put(f"/{name}/_doc/{doc_id}", json=document).raise_for_status()
        engine.post(f"/{name}/_refresh").raise_for_status()
        yield name
        engine.delete(f"/{name}")


async def _fill(settings: ClusterSettings, name: str, encoder: Encoder) -> None:
    documents = [Document(doc_id, {"title": title, "text": text}) for doc_id, (title, text) in ARTICLES.items()]
    schema = build_schema(Settings(), Fields({"title": 2.0, "text": 1.0}), encoder.fingerprint)
    passages = cut(documents, schema, max_tokens=64, token_offsets=encoder.token_offsets)
    vectors = [encoder.encode([one.text for one in own]) for own in passages]
    written = [IndexedDocument(one, "hash", *made) for one, *made in zip(documents, passages, vectors, strict=True)]
    cluster = await connect(settings)
    try:
        index = await cluster.create_index(name, schema)
        assert all(fate.error is None for fate in await index.write(written))
        await index.finish()
    finally:
        await cluster.close()


def engine_of(settings: ClusterSettings) -> httpx.Client:
    """The engine itself."""
    return httpx.Client(base_url=settings.url, timeout=60)


def settings_for(
    cluster: ClusterSettings, index: str, worker_url: str, environ: dict[str, str] | None = None, **given: Any
) -> Settings:
    overrides = {"cluster.url": cluster.url, "index.name": index, "native.worker_url": worker_url} | SIZES | given
    return load_settings(environ=environ or {}, overrides=overrides)


def settings_with(settings: Settings, *, worker_url: str) -> Settings:
    return settings.model_copy(update={"native": settings.native.model_copy(update={"worker_url": worker_url})})


def elsewhere(settings: Settings) -> Settings:
    """The same worker under another address."""
    return settings_with(settings, worker_url=str(settings.native.worker_url).replace("127.0.0.1", "localhost"))


async def install(settings: Settings) -> Installed:
    """What `connector native install` does."""
    cluster = await open_cluster(settings)
    try:
        index = await open_index(cluster, settings)
        return await open_native(cluster, settings).install(build_plan(settings, index.schema))
    finally:
        await cluster.close()


async def show(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """The state of each part by kind and name, and what else is said of it."""
    cluster = await open_cluster(settings)
    try:
        parts = await open_native(cluster, settings).show()
    finally:
        await cluster.close()
    return states(parts), {_label(one): one.detail for one in parts}


async def remove(settings: Settings) -> dict[str, str]:
    cluster = await open_cluster(settings)
    try:
        return states(await open_native(cluster, settings).remove())
    finally:
        await cluster.close()


async def lexical(settings: Settings, query: str) -> list[str]:
    """What the lexical leg of a `connector search` finds."""
    cluster = await open_cluster(settings)
    try:
        index = await open_index(cluster, settings)
        answer = await index.lexical(LexicalQuery(query), depth=5, filter=None, timeout_s=30)
        return [hit.doc_id for hit in answer.ranking]
    finally:
        await cluster.close()


def states(parts: Sequence[Part]) -> dict[str, str]:
    return {_label(one): one.state for one in parts}


def _label(part: Part) -> str:
    return f"{part.kind} {part.name.rsplit('-', 1)[-1]}"


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
    found = {one["index"]: one["relevance_score"] for one in reply.json()["results"]}
    return {doc_id: found[at] for at, doc_id in enumerate(ARTICLES)}


@contextmanager
def somebody_elses(engine: httpx.Client, names: PartNames) -> Iterator[None]:
    """A connector of our name, and a model and pipelines whose names look like ours, all of which somebody else
    made."""
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
    model = {"name": name, "function_name": "remote", "connector_id": made["connector_id"]}
    registered = engine.post("/_plugins/_ml/models/_register", json=model).json()
    group = engine.get(f"/_plugins/_ml/models/{registered['model_id']}").json()["model_group_id"]
    engine.put(f"/_search/pipeline/{name}", json={"description": "theirs"}).raise_for_status()
    engine.put(f"/_ingest/pipeline/{name}", json={"description": "theirs", "processors": []}).raise_for_status()
    yield
    engine.delete(f"/_search/pipeline/{name}").raise_for_status()
    engine.delete(f"/_ingest/pipeline/{name}").raise_for_status()
    engine.delete(f"/_plugins/_ml/models/{registered['model_id']}").raise_for_status()
    engine.delete(f"/_plugins/_ml/model_groups/{group}").raise_for_status()
    engine.delete(f"/_plugins/_ml/connectors/{made['connector_id']}").raise_for_status()


def refresh(engine: httpx.Client) -> None:
    """Let searches of ML Commons, which come after writes by up to a second, see all that is there."""
    engine.post(f"{HOLDINGS}/_refresh", params={"ignore_unavailable": "true"}).raise_for_status()


def everything_in(engine: httpx.Client) -> str:
    """All connectors, models, model groups and pipelines of an engine, as text that can be compared."""
    refresh(engine)
    held = []
    for kind in ("connectors", "models", "model_groups"):
        reply = engine.post(f"/_plugins/_ml/{kind}/_search", json={"query": {"match_all": {}}, "size": 1000}).json()
        told = (
            operator.itemgetter("name") if kind == "model_groups" else json.dumps
        )  # a group counts its models, in the end
        held += sorted(f"{kind} {hit['_id']} {told(hit['_source'])}" for hit in reply["hits"]["hits"])
    pipelines = [engine.get(path).text for path in ("/_search/pipeline", "/_ingest/pipeline")]
    return "\n".join(held + pipelines)


@pytest.fixture(params=["managed", "foreign"])
def settings(request: pytest.FixtureRequest, ml_opensearch: ClusterSettings, worker_url: str) -> Iterator[Settings]:
    """Settings for an index of ours, and for one of somebody else's; nothing stays installed."""
    index = request.getfixturevalue(request.param)
    made = settings_for(ml_opensearch, index, worker_url, **(FOREIGN if request.param == "foreign" else {}))
    yield made
    asyncio.run(remove(made))


async def test_a_plain_search_is_hybrid_and_comes_in_the_order_of_the_workers_scores(
    settings: Settings, worker: WorkerProcess
) -> None:
    installed = await install(settings)
    size = installed.example.body["size"]
    with engine_of(settings.cluster) as engine:
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
    with engine_of(settings.cluster) as engine:
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
    with engine_of(settings.cluster) as engine, somebody_elses(engine, PartNames(settings.index.name)):
        before = everything_in(engine)
        installed = await install(settings)
        search(engine, installed.example, QUERY)
        search(engine, installed.example, QUERY, ext={})
        shown, detail = await show(settings)
        removed = await remove(settings)
        after = everything_in(engine)
        shown_after, _ = await show(settings)

    assert before == after
    assert {shown["model rerank"], shown["model embedding"]} == {"deployed"}
    assert detail["search pipeline search"] == "2 searches, 1 of them not reranked"
    assert set(removed.values()) == {"removed"}
    # where the ids of a node have a word in common, any model keeps any connector from being removed
    kinds = [label.rpartition(" ")[0] for label in removed]
    assert max(at for at, kind in enumerate(kinds) if kind == "model") < kinds.index("connector")
    assert set(removed) == {*shown, "model group rerank", "model group embedding"}
    assert set(shown_after.values()) == {"not there"}


@contextmanager
def searches_of_before(engine: httpx.Client) -> Iterator[None]:
    """Within the block, searches of ML Commons show what was before, as they do for a moment after each change."""
    engine.put(MODEL_SETTINGS, json={"index.refresh_interval": "1h"}).raise_for_status()
    try:
        yield
    finally:
        engine.put(MODEL_SETTINGS, json={"index.refresh_interval": None}).raise_for_status()


@contextmanager
def no_comparing(engine: httpx.Client) -> Iterator[None]:
    """Within the block, ML Commons does not compare states with nodes, as it does every ten seconds. A model whose
    undeployment it meets half done, gone from the node and not yet written down, it calls DEPLOY_FAILED."""
    interval = "plugins.ml_commons.sync_up_job_interval_in_seconds"
    engine.put("/_cluster/settings", json={"transient": {interval: 0}}).raise_for_status()
    try:
        yield
    finally:
        engine.put("/_cluster/settings", json={"transient": {interval: None}}).raise_for_status()


@ON_OURS
async def test_states_are_those_of_now_whatever_a_search_still_shows(settings: Settings) -> None:
    installed = await install(settings)
    with engine_of(settings.cluster) as engine, no_comparing(engine), searches_of_before(engine):
        for model in [part for part in installed.parts if part.kind == "model"]:
            engine.post(f"/_plugins/_ml/models/{model.id}/_undeploy").raise_for_status()
        shown, detail = await show(settings)
        changed = await install(settings)
        shown_again, detail_again = await show(settings)
        moved = await install(elsewhere(settings))
        await remove(settings)
        left, _ = await show(settings)

    assert {shown["model rerank"], shown["model embedding"]} == {"undeployed"}
    assert (detail["model rerank"], detail_again["model rerank"]) == ("connector native install deploys it", "")
    assert states(changed.parts)["model rerank"] == "changed"
    assert {shown_again["model rerank"], shown_again["model embedding"]} == {"deployed"}
    assert states(moved.parts)["connector rerank"] == "changed"
    assert set(left.values()) == {"not there"}


@ON_3
@ON_OURS
async def test_a_model_that_ml_commons_calls_failed_is_deployed_by_the_next_installation(settings: Settings) -> None:
    installed = await install(settings)
    model = next(part.id for part in installed.parts if part.kind == "model")
    with engine_of(settings.cluster) as engine, no_comparing(engine):
        engine.post(f"/_plugins/_ml/models/{model}/_undeploy").raise_for_status()
        written = {"doc": {"model_state": "DEPLOY_FAILED"}}  # what its comparison writes
        engine.post(f"/.plugins-ml-model/_update/{model}", json=written).raise_for_status()
        shown, detail = await show(settings)
        changed = await install(settings)
        shown_again, _ = await show(settings)

    assert (shown["model rerank"], shown["model embedding"]) == ("deploy_failed", "deployed")
    assert detail["model rerank"] == "connector native install deploys it"
    assert (states(changed.parts)["model rerank"], shown_again["model rerank"]) == ("changed", "deployed")


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
    with engine_of(settings.cluster) as engine:
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
    with engine_of(ml_opensearch) as engine:
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
    with engine_of(ml_opensearch) as engine:
        refresh(engine)
        stored = engine.post("/_plugins/_ml/connectors/_search", json={"query": {"match_all": {}}}).text
    await remove(settings)

    assert f"the cluster reached {guarded}, which refused" in done[0]
    assert "rerankers.NAME.api_key" in done[1]
    assert done[2:] == ["changed", "unchanged", "changed"]
    assert "simsim" not in stored


@contextmanager
def sharing_a_word(engine: httpx.Client, installed: Installed) -> Iterator[str]:
    """The ids of all connectors have a word in common, as they have on some nodes, and a model of somebody else's is
    deployed: its id."""
    action = {"action_type": "predict", "method": "POST", "url": "http://127.0.0.1:1/", "request_body": "{}"}
    body = {"name": "theirs", "description": "", "version": 1, "protocol": "http", "credential": {"key": "k"}}
    connector = engine.post("/_plugins/_ml/connectors/_create", json=body | {"actions": [action]}).json()
    asked = {"name": "theirs", "function_name": "remote", "connector_id": connector["connector_id"]}
    theirs = str(engine.post("/_plugins/_ml/models/_register", json=asked).json()["model_id"])
    group = engine.get(f"/_plugins/_ml/models/{theirs}").json()["model_group_id"]
    parts = {(part.kind, part.name): part.id for part in installed.parts}
    pairs = [(id, parts["model", name]) for (kind, name), id in parts.items() if kind == "connector"]
    word = unique_name().replace("-", "")
    refresh(engine)
    for at, (old, model) in enumerate([*pairs, (connector["connector_id"], theirs)]):
        source = engine.get(f"/.plugins-ml-connector/_doc/{old}").json()["_source"]
        engine.put(f"/.plugins-ml-connector/_doc/{at}-{word}", json=source).raise_for_status()
        engine.delete(f"/.plugins-ml-connector/_doc/{old}").raise_for_status()
        moved = {"doc": {"connector_id": f"{at}-{word}"}}
        engine.post(f"/.plugins-ml-model/_update/{model}", json=moved).raise_for_status()
    refresh(engine)
    engine.post(f"/_plugins/_ml/models/{theirs}/_deploy").raise_for_status()
    wait_until(lambda: engine.get(f"/_plugins/_ml/models/{theirs}").json()["model_state"] == "DEPLOYED")
    try:
        yield theirs
    finally:
        engine.post(f"/_plugins/_ml/models/{theirs}/_undeploy").raise_for_status()
        wait_until(lambda: engine.delete(f"/_plugins/_ml/models/{theirs}").status_code == 200)
        wait_until(lambda: engine.delete(f"/_plugins/_ml/model_groups/{group}").status_code == 200)
        engine.delete(f"/.plugins-ml-connector/_doc/{len(pairs)}-{word}").raise_for_status()
        refresh(engine)


@ON_3
@ON_OURS
async def test_a_connector_is_changed_though_ml_commons_takes_another_model_for_one_of_its(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.native.opensearch.SETTLE_S", 3.0)
    installed = await install(settings)
    with engine_of(settings.cluster) as engine, no_comparing(engine):
        with sharing_a_word(engine, installed) as theirs, pytest.raises(ClusterError) as refused:
            await install(elsewhere(settings))
        moved = await install(elsewhere(settings))
        shown, _ = await show(settings)

    assert f"takes {theirs} for some of them, which are not of this index" in str(refused.value)
    assert f"POST /_plugins/_ml/models/{theirs}/_undeploy, then run" in str(refused.value)
    assert states(moved.parts)["connector embedding"] == "changed"
    assert {shown["model rerank"], shown["model embedding"]} == {"deployed"}


@pytest.mark.parametrize(
    ("worker_url", "words"),
    [
        ("http://127.0.0.1:1", "the cluster itself calls http://127.0.0.1:1: name an address that its nodes reach"),
        (
            "http://10.9.8.7:1",
            r'"plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://10\\.9\\.8\\.7:1/.*$"]',
        ),
    ],
)
@ON_3
async def test_a_worker_that_the_cluster_cannot_call_is_told_with_what_to_do(
    ml_opensearch: ClusterSettings, managed: str, worker_url: str, words: str
) -> None:
    settings = settings_for(ml_opensearch, managed, worker_url)
    with pytest.raises(ClusterError) as caught:
        await install(settings)
    left = await remove(settings)

    assert words in str(caught.value)
    assert not any("pipeline" in part for part in left), "no search can go through half an installation"


@ON_3
async def test_a_private_address_needs_leave(ml_opensearch: ClusterSettings, managed: str, worker_url: str) -> None:
    settings = settings_for(ml_opensearch, managed, worker_url)
    with engine_of(ml_opensearch) as engine:
        switch = "plugins.ml_commons.connector.private_ip_enabled"
        engine.put("/_cluster/settings", json={"transient": {switch: False}}).raise_for_status()
        try:
            with pytest.raises(ClusterError, match=f'PUT /_cluster/settings .*"{switch}": true'):
                await install(settings)
        finally:
            engine.put("/_cluster/settings", json={"transient": {switch: None}}).raise_for_status()
            await remove(settings)


@ON_3
async def test_an_encoder_of_other_dimensions_is_refused(
    ml_opensearch: ClusterSettings, foreign: str, worker_url: str
) -> None:
    settings = settings_for(ml_opensearch, foreign, worker_url, **FOREIGN | {"index.vector_field": "tiny"})
    with pytest.raises(SettingsError, match=r"makes vectors of 384 dimensions, but index .* holds such of 3"):
        await install(settings)
    await remove(settings)


@ON_3
@ON_OURS
async def test_pipelines_that_the_index_uses_by_default_are_not_removed(settings: Settings) -> None:
    names = PartNames(settings.index.name)
    await install(settings)
    with engine_of(settings.cluster) as engine:
        default = f"/{names.index}/_settings"
        engine.put(default, json={"index.search.default_pipeline": names.search}).raise_for_status()
        with pytest.raises(SettingsError, match=f"uses {names.search} by default; first: PUT /{names.index}/_settings"):
            await remove(settings)
        engine.put(default, json={"index.search.default_pipeline": None}).raise_for_status()

    assert "search pipeline search" in await remove(settings)


@ON_3
@ON_OURS
async def test_a_pipeline_of_our_name_that_somebody_else_made_is_left_alone(settings: Settings) -> None:
    path = f"/_search/pipeline/{PartNames(settings.index.name).search}"
    with engine_of(settings.cluster) as engine:
        engine.put(path, json={"description": "mine"}).raise_for_status()
        for act in (install, remove):
            with pytest.raises(SettingsError, match="was not made by connector native install"):
                await act(settings)
        left = engine.get(path).json()
        engine.delete(path).raise_for_status()

    assert list(left.values()) == [{"description": "mine"}]


async def test_an_opensearch_without_ml_commons_is_told_as_such(
    secured_opensearch: ClusterSettings, encoder: Encoder
) -> None:
    name = unique_name()
    await _fill(secured_opensearch, name, encoder)
    settings = settings_for(secured_opensearch, name, "http://127.0.0.1:1")
    settings = settings.model_copy(update={"cluster": secured_opensearch})
    for act in (install, show):
        with pytest.raises(ClusterError, match=r"has no ML Commons .* install the plugin opensearch-ml"):
            await act(settings)
    await drop(secured_opensearch, name)


async def test_an_elasticsearch_without_the_inference_api_is_told_as_such(
    elasticsearch: ClusterSettings, encoder: Encoder
) -> None:
    name = unique_name()
    await _fill(elasticsearch, name, encoder)
    settings = settings_for(elasticsearch, name, "http://127.0.0.1:1")
    for act in (install, show, remove):
        with pytest.raises(ClusterError, match=r"has no inference API .* Enterprise licence.* connector search"):
            await act(settings)
    await drop(elasticsearch, name)


async def test_the_embedded_store_needs_nothing_of_the_kind(embedded: ClusterSettings) -> None:
    with pytest.raises(SettingsError, match="the embedded store runs no pipelines"):
        await show(settings_for(embedded, "kb", "http://127.0.0.1:1"))


@ON_3
def test_the_command_prints_a_table_and_a_search_to_paste(
    ml_opensearch: ClusterSettings, managed: str, worker_url: str, launcher: Launcher, tmp_path: Path
) -> None:
    def native(*words: str) -> Finished:
        return launcher.run("native", *words, "--cluster", ml_opensearch.url, "--index", managed, cwd=tmp_path)

    installed = native("install", "--worker-url", worker_url)
    request, body = re.split(r"(?<=search)\n", installed.stdout[installed.stdout.index("POST ") :], maxsplit=1)
    with engine_of(ml_opensearch) as engine:
        pasted = engine.post(request.removeprefix("POST "), json=json.loads(body))
    shown = json.loads(native("show", "--json").stdout)
    removed = native("remove")
    again = native("remove")

    assert (installed.code, installed.stderr) == (0, "")
    assert f"connector-{managed}-rerank" in installed.stdout
    assert pasted.json()["hits"]["hits"][0]["_id"] == "deal"
    assert {one["state"] for one in shown} == {"there", "deployed"}
    assert (removed.code, removed.stdout.count("removed")) == (0, 8), removed.stderr
    assert again.stderr.strip() == f"nothing is installed for {managed}"
