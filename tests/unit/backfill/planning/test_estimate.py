"""What a back-fill would take, from a sample."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.backfill.facts import Facts
from connector.backfill.planning.estimate import Estimate, estimate
from connector.backfill.planning.sampling import SampledWork
from connector.clusters.indices.vector_choices import VectorChoice, read_choices
from connector.clusters.protocol import Engine

FLOATS, INT8 = (read_choices("elasticsearch")[name] for name in ("hnsw", "int8_hnsw"))
SAMPLE = SampledWork(10, 1, (0, *[2] * 9), tokens=900, text_bytes=3_600, encoded_tokens=450, encode_s=0.5)
FACTS = Facts("kb", Engine("elasticsearch", "9.3.2"), {}, {"index.number_of_replicas": "1"}, documents=1_000)


def of(facts: Facts = FACTS, sample: SampledWork = SAMPLE, chosen: VectorChoice = INT8) -> Estimate:
    return estimate(
        facts, sample, dims=100, m=16, chosen=chosen, choices=(FLOATS, INT8), writers=2, index_bytes=5_000_000
    )


def test_a_sample_stands_for_all_documents() -> None:
    found = of()

    assert (found.passages, found.tokens, found.without_text, found.most_passages) == (1_800, 90_000, 100, 2)
    assert (found.tokens_per_s, found.encode_s) == (900, 100)
    assert found.seconds == max(found.encode_s, found.write_s)
    assert (found.copies, found.rewritten_bytes) == (2, 10_000_000)


def test_its_error_is_that_of_a_mean() -> None:
    assert SAMPLE.error == pytest.approx(2 * 0.6325 / 10**0.5 / 1.8, rel=1e-3)
    assert replace(SAMPLE, passages=(2,) * 10).error == 0


def test_replicas_take_disk_as_well() -> None:
    alone = of(replace(FACTS, settings={"index.number_of_replicas": "0"}))

    assert of().disk_bytes == 2 * alone.disk_bytes


def test_quantised_vectors_take_less_memory_and_more_disk() -> None:
    assert of().memory == {"hnsw": 1_800 * 464, "int8_hnsw": 1_800 * 180}
    assert of(chosen=INT8).vector_bytes > of(chosen=FLOATS).vector_bytes


def test_a_vector_in_source_takes_more_than_in_the_index() -> None:
    left_out = replace(FACTS, settings={"index.mapping.exclude_source_vectors": "true"})
    opensearch = replace(FACTS, engine=Engine("opensearch", "2.19.1"), settings={})

    assert of(left_out).source_bytes == 0
    assert of(opensearch).source_bytes > of(replace(FACTS, settings={})).source_bytes > 0
    assert of(replace(opensearch, settings={"index.knn.derived_source.enabled": "true"})).source_bytes == 0


def test_an_index_without_documents_takes_nothing() -> None:
    nothing = of(replace(FACTS, documents=0), SampledWork(0, 0, (), 0, 0, 0, 0.0))

    assert (nothing.disk_bytes, nothing.seconds) == (0, 0)
