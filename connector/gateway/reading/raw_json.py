"""JSON that is looked at in a parsed copy, and goes on in the bytes that it came in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec

from connector.gateway.reading.not_recognised import NotRecognised

Raw = msgspec.Raw
MAX_LEVELS = 64  # of objects and lists within each other
RAW_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
RAW_OBJECTS: msgspec.json.Decoder[list[dict[str, Raw]]] = msgspec.json.Decoder(list[dict[str, Raw]])
RAW_LIST: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
ENCODER = msgspec.json.Encoder()


def read_copy(data: bytes) -> Any:
    """The value to look at. Raises NotRecognised where the engine may read something else: keys that occur twice, other
    encodings than UTF-8, what is nested too deep."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_without_repeats)
    except NotRecognised:
        raise
    except (ValueError, RecursionError):
        raise NotRecognised("no plain JSON") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_LEVELS:
            raise NotRecognised("nested too deep")
        level = list(chain.from_iterable(_inner(node) for node in level))
    return value


def members(data: bytes | Raw) -> dict[str, Raw]:
    """The members of an object, each in its own bytes. Raises msgspec.DecodeError for what is none."""
    return RAW_MEMBERS.decode(data)


def write(value: Any) -> bytes:
    """JSON of a value in which raw pieces keep their bytes; whole numbers of any size."""
    return ENCODER.encode(value)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotRecognised("a key that occurs twice")
    return found


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()
