"""The ids that a job has seen, on disk: each is new once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.ingest.seen import SeenIds


@pytest.fixture
def seen() -> Iterator[SeenIds]:
    ids = SeenIds()
    yield ids
    ids.close()


def test_an_id_is_new_once(seen: SeenIds) -> None:
    assert [seen.add(doc_id) for doc_id in ("a", "b", "a", "A", "a ")] == [True, True, False, True, True]


def test_an_id_that_was_only_kept_can_still_be_taken_once(seen: SeenIds) -> None:
    seen.keep("a")
    missing = seen.missing_from(["a"])

    assert missing == []
    assert [seen.add("a"), seen.add("a")] == [True, False]
    seen.keep("a")
    assert not seen.add("a")


def test_what_was_not_seen_is_missing_in_order(seen: SeenIds) -> None:
    seen.add("b")

    assert seen.missing_from(["c", "b", "a", "c"]) == ["c", "a", "c"]


def test_half_a_surrogate_pair_is_an_id_like_any_other(seen: SeenIds) -> None:
    are_new = [seen.add("\ud800"), seen.add("\udfff"), seen.add("\ud800")]

    assert (are_new, seen.missing_from(["\ud800", "\ud801"])) == ([True, True, False], ["\ud801"])


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=4)), st.lists(st.text(max_size=4)))
def test_it_is_a_set(added: list[str], asked: list[str]) -> None:
    seen = SeenIds()
    try:
        are_new = [seen.add(doc_id) for doc_id in added]

        assert sum(are_new) == len(set(added))
        assert seen.missing_from(asked) == [doc_id for doc_id in asked if doc_id not in set(added)]
    finally:
        seen.close()


def test_it_is_closed_beneath_a_thread_that_adds_without_a_crash() -> None:
    for _ in range(100):
        seen, begun, refused = SeenIds(), threading.Event(), []

        def add_on(seen: SeenIds = seen, begun: threading.Event = begun, refused: list[Exception] = refused) -> None:
            try:
                for at in range(10**9):
                    seen.add(f"row {at}")
                    begun.set()
            except sqlite3.ProgrammingError as error:
                refused.append(error)

        thread = threading.Thread(target=add_on)
        thread.start()
        assert begun.wait(120)
        seen.close()
        thread.join(120)

        assert len(refused) == 1
