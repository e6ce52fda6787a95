"""A document in a reply of an engine -> what the doctor looks at: its text, and pieces of it with their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from connector.clusters.dialect import JSON, PASSAGES
from connector.clusters.reading.hits import read_text
from connector.clusters.vector_form import read_base64
from connector.doctor.samples import Sample
from connector.schema import IndexSchema
from connector.types import Vector


def read_sample(hit: JSON, schema: IndexSchema, most_vectors: int | None = None) -> Sample:
    """One document of a reply, with its vectors; without, where the engine may show those of others."""
    source = hit.get("_source", {})
    if schema.managed:
        text = "\n".join(str(source[name]) for name in schema.fields.text if source.get(name))
        passages = source.get(PASSAGES) or []
        pairs = [(passage.get("text", ""), passage.get("vector")) for passage in passages]
    else:
        text = read_text(hit, schema)
        pairs = [(text, vector) for vector in _vectors_at(source, (schema.vector_field or "").split("."))]
    vectors = tuple((piece, vector) for piece, value in pairs if (vector := _to_vector(value, schema)) is not None)
    is_right = most_vectors is None or len(vectors) <= most_vectors
    return Sample(hit["_id"], text, vectors if is_right else ())


def _to_vector(values: Any, schema: IndexSchema) -> Vector | None:
    """A vector as it stands in a document; of bits, 1 and -1 for each. None where it is none."""
    if isinstance(values, str):  # as it was written, where the engine keeps vectors in the stored document
        return read_base64(values)
    if not _is_numbers(values):
        return None
    if schema.layout.vector and schema.layout.vector.element == "bit":
        packed = np.asarray(values, dtype=np.int8).view(np.uint8)
        return np.unpackbits(packed).astype(np.float32) * 2 - 1
    return np.asarray(values, dtype=np.float32)


def _vectors_at(node: Any, path: Sequence[str]) -> list[Any]:
    """The vector at a dotted path of a document's source; none where there are several, each of another piece of the
    text."""
    for at, _ in enumerate(path):
        if isinstance(node, Mapping) and ".".join(path[at:]) in node:
            return [node[".".join(path[at:])]]
        node = node.get(path[at]) if isinstance(node, Mapping) else None
    return []


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(number, int | float) for number in value)
