"""The doctor on indices that are not well: what it says of each, and what to do."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.indices.doctoring import COUNT, FIELDS, fill, look, not_ok, statuses, write
from support.indices.scratch import drop, engine_client, unique_name

from connector.clusters.connect import connect
from connector.clusters.indices.mapping import build_index
from connector.clusters.protocol import Engine
from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import build_schema

pytestmark = pytest.mark.usefixtures("patient_doctor")

OF_THE_INDEX = ("mapping", "copies", "blocks", "documents", "encoder of the index", "query")


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
    with engine_client(engine) as client:
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
    with engine_client(engine) as client:
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
    with engine_client(engine) as client:
        write(client, "PUT", f"/{name}?wait_for_active_shards=0&timeout=1s", body)
        found = await look(engine, name, None)
        write(client, "DELETE", f"/{name}")

    assert (found["health"].status, found["health"].facts["index"]) == ("fail", "red")
    assert "nobody" in found["health"].seen
    assert found["documents"].status == "fail"


async def test_replicas_on_a_single_node_are_called_normal(engine: ClusterSettings, own: str) -> None:
    with engine_client(engine) as client:
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
    with engine_client(engine) as client:
        write(client, "PUT", f"/{name}", body)
        found = await look(engine, name, None)
        write(client, "DELETE", f"/{name}")

    assert found["mapping"].status == "fail"
    assert "type of topic is text, not keyword" in found["mapping"].seen
    assert "unit is missing" in found["mapping"].seen
