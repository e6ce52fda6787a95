"""What the doctor says of the way that vectors are indexed, by how many there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.indices.schemas import VECTORS
from support.parts import HashEncoder, schema_of

from connector.clusters.indices.vector_choices import read_choices
from connector.clusters.protocol import Engine
from connector.doctor.vector_checks import judge_vector_index, needed_bytes

ELASTIC, OPEN = Engine("elasticsearch", "9.3.2"), Engine("opensearch", "3.6.0")
SCHEMA = replace(schema_of(HashEncoder(dims=400)), vectors=replace(VECTORS, m=16))
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("engine", "name", "vectors", "free_gb", "status", "advice"),
    [
        (ELASTIC, "int8_hnsw", 1_000, 8, "ok", ""),
        (ELASTIC, "hnsw", MILLION, None, "ok", ""),
        (ELASTIC, "hnsw", MILLION, 8, "ok", ""),
        (ELASTIC, "hnsw", MILLION, 2, "warn", "--vector-index int8_hnsw; or more memory"),
        (OPEN, "hnsw", MILLION, 2, "warn", "--vector-index byte_hnsw; or more memory"),
        (ELASTIC, "int8_hnsw", 10 * MILLION, 4, "warn", "--vector-index bbq_hnsw; or more memory"),
        (OPEN, "byte_hnsw", 10 * MILLION, 4, "warn", "more memory for the nodes, or other nodes"),
        (ELASTIC, "flat", 50_000, 8, "ok", ""),
        (ELASTIC, "flat", MILLION, 8, "warn", "--vector-index hnsw"),
        (ELASTIC, "flat", 3 * MILLION, 4, "warn", "--vector-index int8_hnsw"),
        (ELASTIC, "flat", MILLION, None, "warn", "--vector-index hnsw"),
        (ELASTIC, "int4_hnsw", 1_000, 8, "warn", "--vector-index hnsw"),
        (ELASTIC, "int4_hnsw", 10 * MILLION, 16, "ok", ""),
        (ELASTIC, "bbq_hnsw", 1_000, 8, "ok", ""),
    ],
)
def test_a_choice_is_held_against_how_many_vectors_there_are(
    engine: Engine, name: str, vectors: int, free_gb: int | None, status: str, advice: str
) -> None:
    choice = read_choices(engine.kind)[name]
    free = None if free_gb is None else free_gb * 1_000_000_000
    found = judge_vector_index(choice, engine, SCHEMA, vectors, free)

    assert (found.check, found.status) == ("vector index", status)
    assert advice in found.advice
    assert bool(found.advice) == (status != "ok")
    assert f"{name}: {vectors:,} vectors of 400 dimensions" in found.seen
    assert found.facts["memory_bytes"] == needed_bytes(choice, SCHEMA, vectors)
