"""Hits that an engine keeps from a caller: a leg is asked deeper, or in full, until it has enough of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import ids, ranking

from connector.clusters.reading import hidden_hits
from connector.clusters.reading.hidden_hits import DEEPER, MAX_EXACT, fill_up
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable
from connector.types import Ranking


class Engine:
    """An engine with `total` documents, the nearest first, of which the caller may see every `share`-th."""

    def __init__(self, total: int, share: int, error: ClusterError | None = None) -> None:
        self.visible = [f"d{at:06}" for at in range(share - 1, total, share)]
        self.share = share
        self.error = error
        self.asked: list[Any] = []

    async def count(self, limit: int) -> int:
        self.asked.append("count")
        if self.error:
            raise self.error
        return min(len(self.visible), limit)

    async def exact(self) -> Ranking:
        self.asked.append("exact")
        return self._best(len(self.visible))

    async def deeper(self, k: int) -> Ranking:
        self.asked.append(k)
        return self._best(k // self.share)

    def _best(self, count: int) -> Ranking:
        return ranking(*self.visible[: min(count, self.depth)])

    async def search(self, depth: int, notes: list[str]) -> Ranking:
        self.depth = depth
        found = self._best(depth // self.share)
        return await fill_up(found, depth, count=self.count, exact=self.exact, deeper=self.deeper, note=notes.append)


async def test_what_little_a_caller_may_see_is_compared_in_full() -> None:
    engine, notes = Engine(1_000_000, 1_000), []

    found = await engine.search(100, notes)

    assert ids(found) == engine.visible[:100]
    assert (engine.asked, notes) == (["count", "exact"], [])


async def test_among_many_it_is_searched_deeper_until_enough_are_found() -> None:
    engine, notes = Engine(1_000_000, 8), []

    found = await engine.search(100, notes)

    assert ids(found) == engine.visible[:100]
    assert (engine.asked, notes) == (["count", DEEPER[0]], [])


async def test_a_caller_who_was_given_all_there_is_gets_it_without_more_ado() -> None:
    engine, notes = Engine(60, 2), []
    engine.depth = 100

    found = await fill_up(
        engine._best(30), 100, count=engine.count, exact=engine.exact, deeper=engine.deeper, note=notes.append
    )

    assert len(found) == 30
    assert (engine.asked, notes) == (["count"], [])


async def test_what_is_still_missing_is_told() -> None:
    engine, notes = Engine(20_000_000, 3_000), []

    found = await engine.search(100, notes)

    assert ids(found) == engine.visible[:3]
    assert notes[0].startswith("3 of 100 documents: ")
    assert "nearest 10,000" in notes[0]


async def test_a_failure_leaves_what_was_found_and_is_told() -> None:
    engine, notes = Engine(1_000, 10, ClusterUnavailable("too busy")), []

    found = await engine.search(100, notes)

    assert len(found) == 10
    assert "no more could be had (too busy)" in notes[0]


async def test_a_refusal_is_not_made_up_for() -> None:
    with pytest.raises(AccessDenied):
        await Engine(1_000, 10, AccessDenied("no", status=401)).search(100, [])


@given(st.integers(0, 40_000), st.integers(1, 300), st.integers(1, 10_000))
async def test_all_that_can_be_had_comes_or_it_is_told(total: int, share: int, depth: int) -> None:
    engine, notes = Engine(total, share), []
    found = await engine.search(depth, notes)
    there_are = min(depth, len(engine.visible))

    assert ids(found) == engine.visible[: len(found)]
    assert len(found) == there_are or notes
    if len(engine.visible) <= MAX_EXACT or share <= 4:
        assert len(found) == there_are or hidden_hits.DEEPER[-1] < depth * share
