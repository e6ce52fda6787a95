"""One vector as an engine takes it in a write: the one place where ingest and back-fill put it into a document.

Elasticsearch takes the bytes of a vector as base64 since 9.3 (elastic/elasticsearch#137072), which costs client and
engine a fraction of what numbers in JSON do. The floats are big-endian: little-endian ones are taken too, for other
numbers, and nothing fails. A node of an earlier version refuses the document."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from connector.clusters.protocol import Engine
from connector.schema import IndexSchema
from connector.types import Vector

VectorForm = Callable[[Vector], Any]  # what orjson writes, with OPT_SERIALIZE_NUMPY, as the value of the field
BASE64_SINCE = (9, 3)
BIG_ENDIAN_FLOATS = np.dtype(">f4")
MAX_BYTE = 127


def vector_form(engine: Engine, element: str = "float") -> VectorForm:
    """The shortest form in which this engine takes a vector for a field whose components are of this kind: float,
    bfloat16 or byte."""
    if element == "byte":
        return as_bytes
    if engine.kind == "elasticsearch" and version_of(engine) >= BASE64_SINCE:
        return as_base64
    return as_floats


def as_base64(vector: Vector) -> str:
    """Its 32-bit floats, big-endian."""
    return base64.b64encode(vector.astype(BIG_ENDIAN_FLOATS).tobytes()).decode("ascii")


def read_base64(text: str) -> Vector | None:
    """The vector that was written so; None where the text is none."""
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    if not packed or len(packed) % BIG_ENDIAN_FLOATS.itemsize:
        return None
    return np.frombuffer(packed, dtype=BIG_ENDIAN_FLOATS).astype(np.float32)


def as_floats(vector: Vector) -> Vector:
    """The array itself: orjson writes a 32-bit float with the digits that tell it from the next, half as many as of a
    Python float."""
    return np.ascontiguousarray(vector, dtype=np.float32)


def as_bytes(vector: Vector) -> Any:
    """Whole numbers up to 127 in the vector's direction, which cosine and dot product go by: its length is not kept."""
    longest = float(np.abs(vector).max(initial=0.0)) or 1.0
    return np.rint(vector * (MAX_BYTE / longest)).astype(np.int8)


def element_of(schema: IndexSchema) -> str:
    """What a component of the vectors is: float, bfloat16, byte or bit."""
    if schema.managed:
        return schema.vectors.element
    return schema.layout.vector.element if schema.layout.vector else "float"


def version_of(engine: Engine) -> tuple[int, ...]:
    """The version in numbers; empty where the engine does not say it."""
    return tuple(map(int, re.findall(r"\d+", engine.version)[:3]))
