"""What the engines make of the forms in which vectors are written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.indices.scratch import drop, unique_name

from connector.clusters.connect import connect
from connector.clusters.indices.mapping import build_index
from connector.clusters.indices.vector_choices import read_choices, resolve
from connector.clusters.rest import RestCluster
from connector.clusters.vector_form import as_base64, as_floats
from connector.contract.synthetic import ENCODER, make_document, schema
from connector.doctor.rest_checks import RestChecks
from connector.errors import SettingsError
from connector.schema import IndexSchema
from connector.settings.sections import ClusterSettings
from connector.types import Vectors

DIMS = 64  # the fewest that every choice takes
NUMBERS = np.random.default_rng(3)
VECTORS: Vectors = (lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True))(
    NUMBERS.standard_normal((3, DIMS)).astype(np.float32)
)
DOCUMENT = make_document("a", ["one", "two", "three"], VECTORS)


def schema_for(choice: str) -> IndexSchema:
    return replace(schema(vectors=choice), encoder=replace(ENCODER, dims=DIMS), dims=DIMS)


@pytest.fixture
async def scratch(engine: ClusterSettings) -> AsyncIterator[tuple[RestCluster, str]]:
    """A cluster, and a name for an index that is dropped at the end."""
    cluster, name = await connect(engine), unique_name()
    assert isinstance(cluster, RestCluster)
    yield cluster, name
    await cluster.close()
    await drop(engine, name)


async def read_back(cluster: RestCluster, name: str) -> Vectors:
    """The vectors of the one document, in the order of its passages, as the engine gives them."""
    checks = RestChecks(cluster.client, cluster.engine, url=cluster.url, timeout_s=30)
    index = await cluster.open_index(name)
    await index.finish()
    (sample,) = await checks.samples(index, 1)
    return np.array([vector for _, vector in sample.vectors])


async def test_a_vector_comes_back_as_it_was_written(scratch: tuple[RestCluster, str]) -> None:
    cluster, name = scratch
    index = await cluster.create_index(name, schema_for("hnsw"))
    form = index.form
    outcomes = await index.write([DOCUMENT])

    assert [outcome.error for outcome in outcomes] == [None]
    assert index.form is form  # it was taken, and not refused and sent again
    np.testing.assert_allclose(await read_back(cluster, name), VECTORS, atol=1e-6)


async def test_vectors_of_bytes_are_found_by_their_direction(scratch: tuple[RestCluster, str]) -> None:
    cluster, name = scratch
    others = [make_document(str(at), ["x"], vector[None]) for at, vector in enumerate(VECTORS)]
    index = await cluster.create_index(name, schema_for("byte_hnsw"))
    assert all(outcome.error is None for outcome in await index.write(others))
    await index.finish()
    index = await cluster.open_index(name)
    hits = await index.dense(VECTORS[1], depth=3, filter=None, timeout_s=30)

    assert hits[0].doc_id == "1"
    assert hits[0].score == pytest.approx(1.0, abs=0.001)
    assert [hit.score for hit in hits[1:]] == pytest.approx(sorted(VECTORS[[0, 2]] @ VECTORS[1])[::-1], abs=0.02)


async def test_an_engine_takes_what_it_says_it_has(scratch: tuple[RestCluster, str]) -> None:
    cluster, name = scratch
    for choice in read_choices(cluster.engine.kind).values():
        made = schema_for(choice.name)
        if choice.needs or not choice.known_to(cluster.engine):
            with pytest.raises(SettingsError, match=f"vector index '{choice.name}'"):
                await cluster.create_index(name, made)
        else:
            index = await cluster.create_index(name, made)
            assert [outcome.error for outcome in await index.write([DOCUMENT])] == [None]
            await index.finish()
            (hit,) = await index.dense(VECTORS[0], depth=3, filter=None, timeout_s=30)
            assert hit.doc_id == "a"
            assert (await cluster.open_index(name)).schema.vectors.index == choice.name
            await cluster.drop_index(name)


async def test_vectors_that_an_engine_keeps_as_text_are_read_too(elasticsearch: ClusterSettings) -> None:
    """As in an index that was made before Elasticsearch left vectors out of the stored document."""
    cluster, name = await connect(elasticsearch), unique_name()
    assert isinstance(cluster, RestCluster)
    body = build_index(cluster.engine, resolve(cluster.engine, schema_for("hnsw")))
    body["settings"]["index"]["mapping.exclude_source_vectors"] = False
    await cluster.client.request("PUT", f"/{name}", body=body, timeout_s=60)
    index = await cluster.open_index(name)
    (outcome,) = await index.write([DOCUMENT])
    stored = await read_back(cluster, name)
    await cluster.drop_index(name)
    await cluster.close()

    assert outcome.error is None
    np.testing.assert_allclose(stored, VECTORS, atol=1e-6)


async def test_little_endian_would_be_taken_for_other_numbers(elasticsearch: ClusterSettings) -> None:
    cluster, name = await connect(elasticsearch), unique_name()
    assert isinstance(cluster, RestCluster)
    pairs = np.array([0x3E00003F, 0x3F00003E] * (DIMS // 2), dtype=np.uint32).view(
        np.float32
    )  # swapped, each is the other
    index: Any = await cluster.create_index(name, schema_for("hnsw"))
    assert index.form is as_base64
    (outcome,) = await index.write([make_document("a", ["one"], pairs.byteswap()[None])])
    (stored,) = await read_back(cluster, name)
    await cluster.drop_index(name)
    await cluster.close()

    assert outcome.error is None
    np.testing.assert_allclose(stored, pairs[[*range(1, DIMS), 0]], atol=1e-6)


async def test_a_node_that_knows_no_base64_gets_floats(scratch: tuple[RestCluster, str]) -> None:
    """As in a cluster that is being upgraded: the node that was asked for its version is newer than the one that
    writes."""
    cluster, name = scratch
    index: Any = await cluster.create_index(name, schema_for("hnsw"))
    takes_it, index.form = index.form is as_base64, as_base64
    bad = replace(DOCUMENT, document=replace(DOCUMENT.document, doc_id="b", fields={"number": "no number"}))
    outcomes = await index.write([DOCUMENT, bad])

    assert outcomes[0].error is None
    assert "number" in (outcomes[1].error or "")
    np.testing.assert_allclose(await read_back(cluster, name), VECTORS, atol=1e-6)
    assert index.form is (as_base64 if takes_it else as_floats)
