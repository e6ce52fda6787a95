"""The doctor on real stores: healthy ones, and each part of them broken; it says which part and what to do, and
changes nothing."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.command import Launcher
from support.http_server import QuietHandler, listening
from support.parts import serving
from support.proxy import Proxy
from support.scratch import drop, unique_name
from support.secured import Secured

from connector.clusters.connect import connect
from connector.clusters.mapping import build_index
from connector.clusters.protocol import Engine
from connector.doctor import checkup
from connector.doctor.findings import Finding
from connector.ingest.passages import cut
from connector.models.encoder import Encoder
from connector.models.load import load_scorer
from connector.models.scorer import Scorer
from connector.remote.process import WorkerProcess
from connector.schema import Fields
from connector.settings.load import load
from connector.settings.sections import ClusterSettings, Settings, WorkerSettings
from connector.types import Document, IndexedDocument
from connector.wiring import build_schema
from connector.worker.app import create_app

FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata={"topic": "keyword"})
TOPICS = ("refunds", "freezers", "partners", "firmware", "invoices", "carriers")
COUNT = 12
UNHURRIED = {"search.deadline_s": 300}  # so that the worker's speed does not depend on what else the machine does
OF_THE_CLUSTER = ("health", "search access", "ingest access", "index", "mapping", "copies", "blocks", "documents")
OF_THE_INDEX = ("mapping", "copies", "blocks", "documents", "encoder of the index", "query")


async def fill(settings: ClusterSettings, name: str, encoder: Encoder, *, without_text: int = 0) -> None:
    """An index of ours with COUNT documents, and some more that have no text."""
    documents = [
        Document(f"d{at}", {"title": f"{TOPICS[at % 6]} {at}", "text": f"Sensors and {TOPICS[at % 6]} in week {at}."})
        for at in range(COUNT)
    ] + [Document(f"e{at}", {"topic": "none"}) for at in range(without_text)]
    schema = build_schema(Settings(), FIELDS, encoder.fingerprint)
    passages = cut(documents, schema, max_tokens=64, token_offsets=encoder.token_offsets)
    vectors = [encoder.encode([one.text for one in own]) for own in passages]
    cluster = await connect(settings)
    try:
        index = await cluster.create_index(name, schema)
        written = [IndexedDocument(one, "hash", *made) for one, *made in zip(documents, passages, vectors, strict=True)]
        assert all(fate.error is None for fate in await index.write(written))
        await index.finish()
    finally:
        await cluster.close()


@pytest.fixture(scope="module")
def filled(store: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index of each store that tests only look at."""
    name = unique_name()
    asyncio.run(fill(store, name, encoder))
    yield name
    asyncio.run(drop(store, name))


@pytest.fixture(autouse=True)
def _loaded_once(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "load_encoder", lambda settings: encoder)
    monkeypatch.setattr(checkup, "CHECK_S", 120.0)  # of a machine that may stand still for ten seconds


async def look(cluster: ClusterSettings, index: str, worker_url: str | None, **more: Any) -> dict[str, Finding]:
    """The findings by check; no worker URL: reranking is off."""
    given = {f"cluster.{name}": value for name, value in cluster.model_dump(exclude_defaults=True).items()}
    for name in ("password", "api_key", "bearer_token"):
        secret = getattr(cluster, name)
        given |= {f"cluster.{name}": secret.get_secret_value()} if secret else {}
    given |= {"index.name": index, "search.rerank": "on" if worker_url else "off", "rerankers.local.url": worker_url}
    given |= UNHURRIED | {name.replace("__", "."): value for name, value in more.items()}
    loaded = load(environ={}, overrides=given)
    findings = await checkup.examine(loaded)

    assert all(one.seen and bool(one.advice) == (one.status != "ok") for one in findings)
    assert "Sensors" not in json.dumps([asdict(one) for one in findings])
    return {one.check: one for one in findings}


def statuses(findings: dict[str, Finding], *checks: str) -> set[str]:
    return {findings[check].status for check in checks if check in findings}


def not_ok(findings: dict[str, Finding]) -> dict[str, str]:
    """What is not well, but for the index that another test makes at that moment, which the whole engine's state tells
    until its shards are there."""
    health = findings.get("health")
    is_of_others = health is not None and health.facts.get("cluster") == "red" and health.facts.get("index") != "red"
    return {
        check: finding.status
        for check, finding in findings.items()
        if finding.status != "ok" and not (check == "health" and is_of_others)
    }


@contextmanager
def talking(settings: ClusterSettings) -> Iterator[httpx.Client]:
    """The engine itself."""
    with httpx.Client(base_url=settings.url, timeout=60) as client:
        yield client


def write(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    reply = client.request(method, path, json=body)
    assert reply.is_success, reply.text
    return reply.json()


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


async def test_another_encoder_than_the_indexs_is_named(store: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    other = replace(encoder.fingerprint, name="other-model", sha256="ffff" * 16)
    cluster = await connect(store)
    await cluster.create_index(name, build_schema(Settings(), FIELDS, other))
    await cluster.close()
    found = await look(store, name, None)
    await drop(store, name)

    assert (found["encoder of the index"].status, found["query"].status) == ("fail", "skip")
    assert "holds vectors of other-model@ffff" in found["encoder of the index"].seen
    assert "set encoder.model to the index's encoder" in found["encoder of the index"].advice


async def test_a_model_that_cannot_be_had_is_named(
    embedded: ClusterSettings, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    found = await look(embedded, small, None, encoder__model="./no-such-model")

    assert statuses(found, "encoder") == {"fail"}
    assert statuses(found, "encoder of the index", "query") == {"skip"}
    assert "there is no model folder './no-such-model'" in found["encoder"].seen


async def test_an_index_that_is_not_there_is_named_and_the_rest_looked_at(
    store: ClusterSettings, worker: WorkerProcess
) -> None:
    found = await look(store, unique_name(), worker.url)

    assert statuses(found, "index") == {"fail"}
    assert statuses(found, *OF_THE_INDEX) == {"skip"}
    assert statuses(found, "cluster", "access", "encoder", "reranker local", "speed of local") == {"ok"}
    assert not_ok({"health": found["health"]}) == {}
    assert "create it with: connector index create" in found["index"].advice


async def test_documents_without_vectors_are_counted(store: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    await fill(store, name, encoder, without_text=3)
    found = await look(store, name, None)
    await drop(store, name)

    assert found["documents"].facts == {"documents": COUNT + 3, "with_vectors": COUNT}
    assert not_ok(found) == {"documents": "warn", "reranker": "skip"}


async def test_an_empty_index_is_called_so(store: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    cluster = await connect(store)
    await cluster.create_index(name, build_schema(Settings(), FIELDS, encoder.fingerprint))
    await cluster.close()
    found = await look(store, name, None)
    await drop(store, name)

    assert not_ok(found) == {"documents": "warn", "reranker": "skip", "query": "skip"}
    assert found["documents"].seen == "the index is empty"


@pytest.fixture
async def own(engine: ClusterSettings, encoder: Encoder) -> AsyncIterator[str]:
    """The name of an index of each engine that a test may break."""
    name = unique_name()
    await fill(engine, name, encoder)
    yield name
    with talking(engine) as client:
        client.put(
            f"/{name}/_settings", json={f"index.blocks.{block}": None for block in ("write", "read_only_allow_delete")}
        )
    await drop(engine, name)


@pytest.mark.parametrize(
    ("block", "status", "words"),
    [
        ("write", "warn", "writes are blocked (index.blocks.write)"),
        ("read_only_allow_delete", "fail", "the disk is nearly full (flood stage)"),
    ],
)
async def test_an_index_that_takes_no_writes_is_named(
    engine: ClusterSettings, own: str, block: str, status: str, words: str
) -> None:
    with talking(engine) as client:
        write(client, "PUT", f"/{own}/_settings", {f"index.blocks.{block}": True})
    found = await look(engine, own, None)

    assert not_ok(found) == {"blocks": status, "reranker": "skip"}
    assert words in found["blocks"].seen
    assert f'"index.blocks.{block}": null' in found["blocks"].advice


async def test_a_red_index_is_named_with_the_reason(engine: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    cluster = await connect(engine)
    kind = cluster.engine.kind
    await cluster.close()
    body = copy.deepcopy(build_index(Engine(kind, ""), build_schema(Settings(), FIELDS, encoder.fingerprint)))
    body["settings"]["index"] |= {"routing.allocation.require._name": "nobody", "auto_expand_replicas": False}
    with talking(engine) as client:
        write(client, "PUT", f"/{name}?wait_for_active_shards=0&timeout=1s", body)
        found = await look(engine, name, None)
        write(client, "DELETE", f"/{name}")

    assert (found["health"].status, found["health"].facts["index"]) == ("fail", "red")
    assert "nobody" in found["health"].seen
    assert found["documents"].status == "fail"


async def test_replicas_on_a_single_node_are_called_normal(engine: ClusterSettings, own: str) -> None:
    with talking(engine) as client:
        write(client, "PUT", f"/{own}/_settings", {"index.auto_expand_replicas": False, "index.number_of_replicas": 1})
    found = await look(engine, own, None)

    assert not_ok(found) == {"reranker": "skip"}
    assert "normal on a single one" in found["health"].seen
    assert found["copies"].facts["replicas"] == 1


async def test_an_index_whose_fields_are_not_ours_is_named(engine: ClusterSettings, encoder: Encoder) -> None:
    name = unique_name()
    cluster = await connect(engine)
    kind = cluster.engine.kind
    await cluster.close()
    body = copy.deepcopy(build_index(Engine(kind, ""), build_schema(Settings(), FIELDS, encoder.fingerprint)))
    del body["mappings"]["properties"]["unit"]
    body["mappings"]["properties"]["topic"] = {"type": "text"}
    with talking(engine) as client:
        write(client, "PUT", f"/{name}", body)
        found = await look(engine, name, None)
        write(client, "DELETE", f"/{name}")

    assert found["mapping"].status == "fail"
    assert "type of topic is text, not keyword" in found["mapping"].seen
    assert "unit is missing" in found["mapping"].seen


@pytest.fixture
def foreign(engine: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index that somebody else made: a text field, and vectors in two of three documents."""
    name = unique_name()
    dims = encoder.fingerprint.dims
    vectors = {
        "dense_vector": {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine"},
        "knn_vector": {"type": "knn_vector", "dimension": dims,
                       "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}},
    }  # fmt: skip
    with talking(engine) as client:
        is_opensearch = client.get("/").json()["version"].get("distribution") == "opensearch"
        vector = vectors["knn_vector" if is_opensearch else "dense_vector"]
        settings = {"index.knn": True} if is_opensearch else {}
        properties = {"body": {"type": "text"}, "embedding": vector}
        write(client, "PUT", f"/{name}", {"settings": settings, "mappings": {"properties": properties}})
        texts = ["Freezers are checked twice a day.", "Gateways need current firmware.", "Offices close at Christmas."]
        for at, (text, made) in enumerate(zip(texts, encoder.encode(texts).tolist(), strict=True)):
            write(client, "PUT", f"/{name}/_doc/{at}", {"body": text} | ({"embedding": made} if at else {}))
        write(client, "POST", f"/{name}/_refresh")
        yield name
        write(client, "DELETE", f"/{name}")


async def test_an_index_of_somebody_else_is_looked_at_as_it_is(engine: ClusterSettings, foreign: str) -> None:
    fields = {"index__text_fields": {"body": 1.0}}
    unnamed = await look(engine, foreign, None)
    lexical = await look(engine, foreign, None, **fields)
    both = await look(engine, foreign, None, **fields, index__vector_field="embedding")

    assert unnamed["index"].status == "fail"
    assert "index.text_fields (it has: body) and index.vector_field (it has: embedding)" in unnamed["index"].advice
    assert not_ok(lexical) == {"encoder": "skip", "reranker": "skip"}
    assert "made by somebody else: searched as it is, never written to" in lexical["index"].seen
    assert set(lexical["query"].facts["took_ms"]) & {"dense", "encode"} == set()
    assert not_ok(both) == {"documents": "warn", "reranker": "skip"}
    assert both["documents"].facts == {"documents": 3, "with_vectors": 2}
    assert "mapping" not in both


async def test_vectors_of_another_model_are_a_failure_with_the_figure(
    engine: ClusterSettings, foreign: str, encoder: Encoder
) -> None:
    given = {"index__text_fields": {"body": 1.0}, "index__vector_field": "embedding"}
    right = await look(engine, foreign, None, **given)
    with talking(engine) as client:
        for at, text in enumerate(["Freezers.", "Gateways.", "Offices."]):  # the components in another order
            other = encoder.encode([text])[0][::-1].tolist()
            write(client, "PUT", f"/{foreign}/_doc/{at}?refresh=true", {"body": text, "embedding": other})
    wrong = await look(engine, foreign, None, **given)

    assert (right["vectors"].status, right["vectors"].facts["compared"]) == ("ok", 2)
    assert right["vectors"].facts["median"] > 0.999
    assert wrong["vectors"].status == "fail"
    assert abs(wrong["vectors"].facts["median"]) < 0.3
    assert (
        "the text of body of 3 documents was encoded again: the median cosine with embedding" in wrong["vectors"].seen
    )


async def test_a_text_that_is_searchable_but_not_kept_is_named(engine: ClusterSettings) -> None:
    name = unique_name()
    mappings = {
        "_source": {"excludes": ["body"]},
        "properties": {"body": {"type": "text"}, "name": {"type": "keyword"}},
    }
    with talking(engine) as client:
        write(client, "PUT", f"/{name}", {"mappings": mappings})
        write(client, "PUT", f"/{name}/_doc/1?refresh=true", {"body": "Freezers are checked.", "name": "x"})
        found = await look(engine, name, None, index__text_fields={"body": 1.0})
        write(client, "DELETE", f"/{name}")

    assert found["text"].status == "warn"
    assert "'body' is searchable but not kept: _source leaves it out" in found["text"].seen
    assert found["query"].status == "skip"


async def test_an_empty_index_of_somebody_else_gets_no_advice_to_fill_it(engine: ClusterSettings) -> None:
    name = unique_name()
    with talking(engine) as client:
        write(client, "PUT", f"/{name}", {"mappings": {"properties": {"body": {"type": "text"}}}})
        found = await look(engine, name, None, index__text_fields={"body": 1.0})
        write(client, "DELETE", f"/{name}")

    assert found["documents"].status == "warn"
    assert all("connector ingest" not in each.advice for each in found.values())


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


def restricted(secured: Secured, name: str, index: str, *privileges: str) -> ClusterSettings:
    """A user who may only do these things (named as the engine does) with the index."""
    if secured.kind == "elasticsearch":
        return secured.add_user(name, {"indices": [{"names": [index], "privileges": list(privileges)}]})
    return secured.add_user(
        name, {"index_permissions": [{"index_patterns": [index], "allowed_actions": list(privileges)}]}
    )


READ = {
    "elasticsearch": ("read", "view_index_metadata"),
    "opensearch": ("read", "indices:admin/mappings/get", "indices:monitor/settings/get"),
}


async def test_wrong_passwords_are_a_failure_and_leave_the_rest_skipped(secured: Secured) -> None:
    wrong = secured.settings(username="elastic", password="hunter2-Tr0ub4dor")
    found = await look(wrong, "any", None)

    assert statuses(found, "cluster") == {"fail"}
    assert statuses(found, *OF_THE_CLUSTER, "query") == {"skip"}
    assert "user name and password" in found["cluster"].seen
    assert "hunter2" not in str(found)


async def test_who_may_only_read_is_told_that_search_works_and_ingest_does_not(
    secured: Secured, encoder: Encoder
) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    before = sequence_numbers(secured, name)
    reader = restricted(secured, f"reader-{name}", name, *READ[secured.kind])
    found = await look(reader, name, None)
    whole = await look(secured.superuser, name, None)
    after = sequence_numbers(secured, name)
    await drop(secured.superuser, name)

    assert found["search access"].status == "ok"
    assert found["ingest access"].status == "warn"
    assert (
        set(found["ingest access"].facts["missing"])
        == {
            "elasticsearch": {"write", "maintenance"},
            "opensearch": {"indices:data/write/index", "indices:data/write/delete", "indices:admin/refresh"},
        }[secured.kind]
    )
    assert statuses(found, "index", "mapping", "copies", "documents", "query") == {"ok"}
    assert found["health"].status == "skip"  # it may not monitor the cluster
    assert not_ok(whole) == {"reranker": "skip"}
    assert before == after  # no write went through


async def test_who_may_do_nothing_is_told_what_is_missing(secured: Secured, encoder: Encoder) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    nobody = restricted(secured, f"nobody-{name}", "another-index", *READ[secured.kind])
    found = await look(nobody, name, None)
    await drop(secured.superuser, name)

    assert statuses(found, "search access", "index") == {"fail"}
    assert found["ingest access"].status == "warn"
    assert {"read", "indices:data/read/search"} & set(found["search access"].facts["missing"])


async def test_whether_an_index_may_be_created_is_known_without_creating_it(secured: Secured) -> None:
    name = unique_name()
    reader = restricted(secured, f"reader-{name}", name, *READ[secured.kind])
    may_not = await look(reader, name, None)
    may = await look(secured.superuser, name, None)
    indices = secured.call("GET", "/_cat/indices?format=json&expand_wildcards=all")

    assert {"create_index", "indices:admin/create"} & set(may_not["ingest access"].facts["missing"])
    assert (may["ingest access"].status, may["index"].status) == ("ok", "fail")
    assert "may create the index" in may["ingest access"].seen
    assert name not in [one["index"] for one in indices]


async def test_a_block_is_not_taken_for_a_missing_privilege(secured: Secured, encoder: Encoder) -> None:
    name = unique_name()
    await fill(secured.superuser, name, encoder)
    secured.call("PUT", f"/{name}/_settings", {"index.blocks.write": True})
    found = await look(secured.superuser, name, None)
    await drop(secured.superuser, name)

    assert not_ok(found) == {"blocks": "warn", "reranker": "skip"}


@pytest.mark.live
async def test_a_key_counts_for_what_it_may_do_not_for_its_owner(
    secured_elasticsearch: ClusterSettings, encoder: Encoder
) -> None:
    secured, name = Secured("elasticsearch", secured_elasticsearch), unique_name()
    await fill(secured.superuser, name, encoder)
    key = secured.add_key(
        {"cluster": ["monitor"], "indices": [{"names": [name], "privileges": list(READ["elasticsearch"])}]}
    )
    found = await look(secured.settings(api_key=key["encoded"]), name, None)
    await drop(secured.superuser, name)

    assert not_ok(found) == {"ingest access": "warn", "reranker": "skip"}
    assert key["encoded"] not in str(found)


async def test_no_command_says_a_password_that_a_cluster_refuses(
    secured: Secured, launcher: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"_id": "1", "text": "a row"}\n')
    environ = {
        "CONNECTOR_CLUSTER_URL": secured.superuser.url,
        "CONNECTOR_CLUSTER_CA_CERT": str(secured.superuser.ca_cert),
        "CONNECTOR_CLUSTER_USERNAME": str(secured.superuser.username),
        "CONNECTOR_CLUSTER_PASSWORD": "hunter2-Tr0ub4dor",
        "CONNECTOR_LOG_LEVEL": "debug",
    }
    commands = {
        ("doctor", "--json", "--set", "encoder.model=./no-model"): 1,
        ("index", "show"): 2,
        ("ingest", "rows.jsonl", "--log-format", "json"): 2,
    }
    for command, code in commands.items():
        done = launcher.run(*command, cwd=tmp_path, **environ)

        assert done.code == code
        assert "does not accept" in done.stdout + done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        assert "aHVudGVyMi" not in done.stdout + done.stderr


def sequence_numbers(secured: Secured, index: str) -> list[int]:
    """The last operation of every shard: each write, also a failed delete, raises it."""
    stats = secured.call("GET", f"/{index}/_stats?level=shards")
    return [copy["seq_no"]["max_seq_no"] for shard in stats["indices"][index]["shards"].values() for copy in shard]


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
    assert {one["status"] for one in found["findings"]} == {"ok"}
    assert all(set(one) == {"check", "status", "seen", "advice", "facts"} for one in found["findings"])
    assert "→ start one with: connector worker" in sick.stdout
    assert sick.stderr.splitlines()[-1].endswith("1 fail, 1 skip")
    assert "search.k" in refused.stderr
