"""Which engines a test meets in `make test`: one of each kind, and its neighbour the other two.

What differs from engine to engine is the contract's, and its tests meet all. A test of a whole part above it rarely
finds in Elasticsearch 8 what it does not find in 9, and it costs the engine as much again. A test that names its
engines itself meets those, and one for which the version matters is marked `each_engine`. `--engines each`, which is
the default where a file is run by itself, is all of all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

import pytest

PAIRS = (frozenset({"es8", "os3"}), frozenset({"es9", "os2"}))
FIXTURES = ("engine", "store")
IN_PAIRS = ("tests/live/", "tests/e2e/")


def in_pairs(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those that are run, and those that are left to `--engines each`."""
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        (kept if _is_whole(item) or meets(item.nodeid, parameters) else left).append(item)
    return kept, left


def _is_whole(item: pytest.Item) -> bool:
    """Whether it meets all engines that it has."""
    if item.get_closest_marker("each_engine") or not item.nodeid.startswith(IN_PAIRS):
        return True
    named = re.findall(r"\w+", " ".join(str(mark.args[0]) for mark in item.iter_markers("parametrize")))
    return not set(FIXTURES).isdisjoint(named)


def meets(nodeid: str, parameters: Mapping[str, object]) -> bool:
    """Whether a test of these parameters is one of the two of its pair."""
    name = next((str(parameters[fixture]) for fixture in FIXTURES if fixture in parameters), "")
    if not any(name in pair for pair in PAIRS):
        return True
    return name in PAIRS[sha256(nodeid.replace(name, "").encode()).digest()[0] % len(PAIRS)]
