"""The form in which vectors are written: as numbers, as base64 or as bytes, and read again."""

from __future__ import annotations

import base64
import struct

import numpy as np
import orjson
import pytest

from connector.clusters.protocol import Engine
from connector.clusters.vector_form import as_base64, as_bytes, as_floats, read_base64, vector_form

VECTOR = np.array([0.1, -2.5, 3.0, 1e-7], dtype=np.float32)


@pytest.mark.parametrize(
    ("kind", "version", "element", "form"),
    [
        ("elasticsearch", "9.3.0", "float", as_base64),
        ("elasticsearch", "9.10.1-SNAPSHOT", "float", as_base64),
        ("elasticsearch", "10.0.0", "bfloat16", as_base64),
        ("elasticsearch", "9.3.2", "byte", as_bytes),
        ("elasticsearch", "9.2.9", "float", as_floats),
        ("elasticsearch", "8.19.8", "float", as_floats),
        ("elasticsearch", "", "float", as_floats),
        ("opensearch", "9.3.0", "float", as_floats),
        ("opensearch", "3.6.0", "byte", as_bytes),
    ],
)
def test_each_engine_gets_the_shortest_form_that_it_takes(kind: str, version: str, element: str, form: object) -> None:
    assert vector_form(Engine(kind, version), element) is form


def test_base64_is_of_big_endian_floats() -> None:
    assert struct.unpack(">4f", base64.b64decode(as_base64(VECTOR))) == tuple(VECTOR.tolist())


def test_base64_is_read_back() -> None:
    read = [read_base64(text) for text in (as_base64(VECTOR), "no base64", "AAAA", "")]

    assert read[0] is not None
    assert read[0].tolist() == VECTOR.tolist()
    assert read[1:] == [None, None, None]


def test_floats_are_written_with_the_digits_that_they_need() -> None:
    written = orjson.dumps(as_floats(VECTOR.astype(np.float64)), option=orjson.OPT_SERIALIZE_NUMPY)

    assert written == b"[0.1,-2.5,3.0,1e-7]"


def test_bytes_keep_the_direction() -> None:
    whole = as_bytes(VECTOR)

    assert orjson.loads(orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)) == [4, -106, 127, 0]
    assert as_bytes(np.zeros(3, dtype=np.float32)).tolist() == [0, 0, 0]
