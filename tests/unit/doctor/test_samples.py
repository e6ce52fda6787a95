"""What the doctor makes of some documents: their texts, and their vectors beside those of the encoder."""

from __future__ import annotations

import numpy as np
import pytest
from support.indices.schemas import MADE
from support.parts import HashEncoder, schema_of

from connector.doctor.samples import Sample, compare_vectors, judge_texts, judge_vectors
from connector.layout import Layout, TextPlace
from connector.schema import Fields, IndexSchema

OURS = schema_of(HashEncoder())
FOREIGN = IndexSchema(Fields({"body": 1.0}), None, **MADE, managed=False, vector_field="vec", dims=16)
LOST = IndexSchema(
    Fields({"body": 1.0}), None, **MADE, managed=False, layout=Layout(places={"body": TextPlace(why_not="not kept")})
)


def test_vectors_are_compared_with_those_of_the_same_texts() -> None:
    encoder = HashEncoder()
    right, wrong = encoder.encode(["red fish", "blue sky"])
    pairs = (("red fish", right * 3), ("red fish", wrong), ("", right), ("red fish", np.ones(3, dtype=np.float32)))

    cosines = compare_vectors([Sample("a", "red fish", pairs)], encoder)

    assert cosines == pytest.approx([1.0, float(right @ wrong), 0.0], abs=1e-6)
    assert compare_vectors([Sample("a", "no vectors")], encoder) == []


@pytest.mark.parametrize(
    ("schema", "cosines", "status", "words"),
    [
        (OURS, [1.0, 0.999], "ok", "lowest cosine with their vectors is 0.999"),
        (OURS, [1.0, 0.95], "warn", "is 0.950"),
        (OURS, [1.0, 0.02], "fail", "is 0.020"),
        (
            FOREIGN,
            [1.0, 0.99, 0.1],
            "ok",
            "the text of body of 3 documents was encoded again: the median cosine with vec is",
        ),
        (FOREIGN, [0.6, 0.7], "warn", "is 0.650"),
        (FOREIGN, [0.05, -0.02], "fail", "is 0.015"),
        (FOREIGN, [], "skip", "no vector could be compared"),
    ],
)
def test_vectors_of_another_model_are_a_failure_with_the_figure(
    schema: IndexSchema, cosines: list[float], status: str, words: str
) -> None:
    found = judge_vectors(cosines, schema)

    assert (found.check, found.status) == ("vectors", status)
    assert words in found.seen
    assert bool(found.advice) == (status != "ok")


def test_texts_that_cannot_be_had_are_counted_with_the_reason() -> None:
    samples = [Sample("a", ""), Sample("b", "")]
    found = judge_texts(samples, LOST)
    some = judge_texts([*samples, Sample("c", "x")], FOREIGN)

    assert found is not None
    assert some is not None
    assert (found.status, found.facts) == ("warn", {"documents": 2, "with_text": 0})
    assert "the text of 0 of 2 documents looked at can be had, the others cannot be reranked: not kept" in found.seen
    assert "these credentials" in some.seen
    assert judge_texts([], FOREIGN) is None
