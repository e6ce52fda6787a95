"""Some documents of an index, looked at one by one: whether their text can be had, and whether their vectors are the
encoder's."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connector.doctor.findings import Finding
from connector.models.encoder import Encoder
from connector.schema import IndexSchema
from connector.types import Vector

SAMPLES = 5  # documents looked at
SAME = 0.98  # cosine of two vectors of one text by one encoder, also at another precision or by another runtime
ALIKE = 0.9  # of an encoder that is nearly the same
RELATED = 0.3  # below, the text has nothing to do with what was encoded, or the model was another


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: its text (empty where it cannot be had), and pieces of it with the vectors that the index holds."""

    doc_id: str
    text: str
    vectors: tuple[tuple[str, Vector], ...] = ()


def judge_texts(samples: Sequence[Sample], schema: IndexSchema) -> Finding | None:
    """In how many documents the text can be had, which a reranker needs; None where there is no document with a
    text."""
    if not samples:
        return None
    found = sum(1 for sample in samples if sample.text)
    facts = {"documents": len(samples), "with_text": found}
    if found == len(samples):
        return Finding("text", "ok", f"the text of all {found} documents looked at can be had", facts=facts)
    seen = f"the text of {found} of {len(samples)} documents looked at can be had, the others cannot be reranked"
    why = schema.why_no_text or "nothing is in its text fields that these credentials may read"
    advice = "name fields whose text is kept in index.text_fields, or have it stored"
    return Finding("text", "warn", f"{seen}: {why.replace('; ', ', ')}", advice, facts)


def compare_vectors(samples: Sequence[Sample], encoder: Encoder) -> list[float]:
    """The cosine of each vector with that of its text, encoded again. Blocks while it encodes."""
    pairs = [pair for sample in samples for pair in sample.vectors if pair[0]]
    again = encoder.encode([text for text, _ in pairs]) if pairs else np.empty((0, 0), dtype=np.float32)
    return [_cosine(stored, _like(stored, made)) for (_, stored), made in zip(pairs, again, strict=True)]


def judge_vectors(cosines: Sequence[float], schema: IndexSchema) -> Finding:
    """Whether the vectors of an index are those that the encoder makes of the same texts."""
    if not cosines:
        seen = "no vector could be compared: none of the documents looked at shows both a text and its vector"
        return Finding("vectors", "skip", seen, "right where documents keep no vectors or no text beside the index")
    lowest, middle = min(cosines), statistics.median(cosines)
    facts = {"compared": len(cosines), "lowest": round(lowest, 4), "median": round(middle, 4)}
    if schema.managed:
        seen = f"{len(cosines)} passages were encoded again: the lowest cosine with their vectors is {lowest:.3f}"
        if lowest >= SAME:
            return Finding("vectors", "ok", seen, facts=facts)
        if lowest >= ALIKE:
            return Finding("vectors", "warn", seen, "ingest again with one encoder.backend to have all alike", facts)
        advice = "these are vectors of another model: set encoder.model to it, or ingest into a new index"
        return Finding("vectors", "fail", seen, advice, facts)
    fields = ", ".join(schema.fields.text)
    seen = (
        f"the text of {fields} of {len(cosines)} documents was encoded again: the median cosine with "
        f"{schema.vector_field} "
        f"is {middle:.3f}"
    )
    if middle >= ALIKE:
        return Finding("vectors", "ok", seen, facts=facts)
    if middle >= RELATED:
        advice = "right where vectors were made from other fields or from pieces of them; else set encoder.model"
        return Finding("vectors", "warn", seen, advice, facts)
    advice = f"set encoder.model to the model that filled {schema.vector_field}, or search without: index.vector_field"
    return Finding("vectors", "fail", seen, advice, facts)


def _like(stored: Vector, made: Vector) -> Vector:
    """The vector that the encoder makes; by its signs where only those are stored."""
    return np.where(made > 0, 1, -1).astype(np.float32) if (np.abs(stored) == 1).all() else made


def _cosine(vector: Vector, other: Vector) -> float:
    if vector.shape != other.shape:
        return 0.0
    lengths = float(np.linalg.norm(vector) * np.linalg.norm(other))
    return float(vector @ other) / lengths if lengths else 0.0
