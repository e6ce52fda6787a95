"""Which engines a test meets in `make test`."""

from __future__ import annotations

from collections import Counter

from support.runs.engine_pairs import PAIRS, meets
from support.servers.running_engines import ENGINES

TESTS = [f"tests/live/test_a.py::test_of_{number}" for number in range(200)]


def met(test: str, fixture: str = "engine") -> frozenset[str]:
    return frozenset(name for name in ENGINES if meets(f"{test}[{name}-a]", {fixture: name, "leg": "a"}))


def test_a_test_meets_one_engine_of_each_kind_and_half_of_all_meet_the_others() -> None:
    assert sorted(name for pair in PAIRS for name in pair) == sorted(ENGINES)
    assert {frozenset(name[:2] for name in pair) for pair in PAIRS} == {frozenset({"es", "os"})}
    counts = Counter(map(met, TESTS))

    assert set(counts) == set(PAIRS)
    assert min(counts.values()) > 70
    assert met(TESTS[0], "store") == met(TESTS[0])


def test_what_knows_no_engine_or_another_store_is_always_run() -> None:
    assert meets(TESTS[0], {})
    assert meets(f"{TESTS[0]}[embedded]", {"store": "embedded"})
    assert meets(f"{TESTS[0]}[es8]", {"name": "es8"})
