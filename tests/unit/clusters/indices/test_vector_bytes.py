"""What a vector takes on disk and in memory: by its numbers, a coarser copy, and the edges of a graph."""

from __future__ import annotations

import pytest

from connector.clusters.indices.vector_bytes import disk_bytes, memory_bytes
from connector.clusters.indices.vector_choices import read_choices

DIMS, M = 100, 16
LUCENE, FAISS, CORRECTION = 64, 128, 16


@pytest.mark.parametrize(
    ("engine", "name", "disk", "memory"),
    [
        ("elasticsearch", "hnsw", 400 + LUCENE, 400 + LUCENE),
        ("elasticsearch", "int8_hnsw", 400 + 100 + CORRECTION + LUCENE, 100 + CORRECTION + LUCENE),
        ("elasticsearch", "bbq_hnsw", 400 + 12.5 + CORRECTION + LUCENE, 12.5 + CORRECTION + LUCENE),
        ("elasticsearch", "bbq_hnsw_bfloat16", 200 + 12.5 + CORRECTION + LUCENE, 12.5 + CORRECTION + LUCENE),
        ("elasticsearch", "bbq_disk", 400, 0),
        ("elasticsearch", "byte_hnsw", 100 + LUCENE, 100 + LUCENE),
        ("elasticsearch", "flat", 400, 400),
        ("opensearch", "faiss_hnsw", 400 + FAISS, 400 + FAISS),
        ("opensearch", "faiss_on_disk", 400 + 12.5 + CORRECTION + FAISS, 12.5 + CORRECTION + FAISS),
    ],
)
def test_a_vector_takes_what_the_way_to_index_it_makes_of_it(
    engine: str, name: str, disk: float, memory: float
) -> None:
    choice = read_choices(engine)[name]

    assert (disk_bytes(choice, DIMS, M), memory_bytes(choice, DIMS, M)) == (disk, memory)
