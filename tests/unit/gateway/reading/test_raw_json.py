"""Pieces of a request go on in the bytes that they came in."""

from __future__ import annotations

import pytest

from connector.gateway.reading.raw_json import Raw, members, write

LARGE = 2**70


@pytest.mark.parametrize("number", [1, LARGE, -LARGE])
def test_raw_pieces_keep_their_bytes_beside_any_number(number: int) -> None:
    kept = members(b'{"boost":1.10,"far":1e400,"exact":0.12345678901234567890, "name":"\\u00e9"}')
    value = {'a "b"': [number, True, None, 0.5, "\u00e9"], "kept": kept, "raw": Raw(b"[ 1 ]"), "none": ()}

    assert write(value) == (
        b'{"a \\"b\\"":[%d,true,null,0.5,"\xc3\xa9"],"kept":{"boost":1.10,"far":1e400,'
        b'"exact":0.12345678901234567890,"name":"\\u00e9"},"raw":[ 1 ],"none":[]}' % number
    )
