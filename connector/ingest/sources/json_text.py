"""JSON as it has to be: no NaN, no key twice, no numbers beyond a double, no depth that nothing can store."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

MAX_DEPTH = 100
MAX_DIGITS = 308  # a number of more is beyond the largest double
_OPENING_OR_CLOSING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def parse_json(text: str) -> Any:
    """The value; raises ValueError with the reason where it is none, or not one that can be kept whole."""
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return json.loads(
        text,
        object_pairs_hook=_without_repeats,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_whole,
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        for (left, first), (right, second) in pairwise(sorted(pairs, key=lambda pair: pair[0])):
            if left == right and first != second:
                raise ValueError(f"the key {left!r} is there twice, with two values; rename one of them")
    return values


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number; write null or leave the field out")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits} is beyond the numbers that can be kept (1.8e308)")
    return value


def _whole(digits: str) -> int:
    if (count := len(digits.lstrip("-"))) > MAX_DIGITS:
        raise ValueError(f"a number of {count} digits is beyond those that can be kept; write it as text")
    return int(digits)


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _OPENING_OR_CLOSING.finditer(text):
        if found[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in "]}":
            depth -= 1
    return deepest
