"""A cursor carries what is left of an order from process to process, and only what was signed is taken."""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import CursorExpired, CursorForged, CursorMismatch
from connector.lexical import Mark
from connector.search.pages.frozen import FrozenHit, FrozenOrder, LexicalRest, read_cursor
from connector.search.pages.signature import Signer

KEY = "a secret of sixteen characters"
KEEP_S = 300
hits = st.builds(
    FrozenHit,
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.integers(-400, 400).map(lambda number: number / 8),  # of few digits: a cursor carries seven
    st.sampled_from(("local", "fused", "lexical")),
)
rests = st.builds(
    LexicalRest,
    st.just("lexical"),
    st.builds(Mark, st.floats(0, 1e6, width=32), st.sampled_from(((), ("d1",), ("d1", 3)))),
    st.frozensets(st.text(string.ascii_letters, min_size=1), max_size=5),
)


def order(left: list[FrozenHit], rest: LexicalRest | None = None, *, expires: int = 2**40) -> FrozenOrder:
    return FrozenOrder("docs", "digest", "point in time", 10, tuple(left), rest, expires)


def read(cursor: str, *, key: str = KEY, index: str = "docs", digest: str = "digest") -> FrozenOrder:
    return read_cursor(cursor, Signer(key), index=index, digest=digest, keep_s=KEEP_S)


@given(st.lists(hits, max_size=20), st.none() | rests)
def test_what_is_left_of_an_order_comes_back(left: list[FrozenHit], rest: LexicalRest | None) -> None:
    given_order = order(left, rest)

    assert read(given_order.write(Signer(KEY))) == given_order


def test_a_cursor_of_two_hundred_documents_fits_a_header() -> None:
    chance = random.Random(3)
    left = [FrozenHit(f"product-{chance.randrange(10**6)}", chance.random(), "fused") for _ in range(200)]

    assert len(order(left).write(Signer(KEY))) < 4_000


@given(st.data())
def test_a_cursor_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    cursor = order([FrozenHit("d1", 1.0, "fused")]).write(Signer(KEY))
    at = data.draw(st.integers(0, len(cursor) - 2))  # the last character has bits that mean nothing
    other = data.draw(
        st.sampled_from(string.ascii_letters + string.digits + "-_ é=").filter(lambda it: it != cursor[at])
    )

    for changed in (cursor[:at] + other + cursor[at + 1 :], cursor[:at]):
        with pytest.raises(CursorForged, match="give it back as it came"):
            read(changed)


def test_a_cursor_signed_with_another_key_is_refused() -> None:
    for key in (None, "another secret of sixteen"):
        with pytest.raises(CursorForged, match=r"search\.cursor_key"):
            read(order([FrozenHit("d1", 1.0, "fused")]).write(Signer(key)))


def test_processes_with_one_key_read_each_others_cursors_and_one_without_its_own() -> None:
    for key in (KEY, None):
        given_order = order([FrozenHit("d1", 1.0, "fused")])
        cursor = given_order.write(Signer(key))

        assert read_cursor(cursor, Signer(key), index="docs", digest="digest", keep_s=KEEP_S) == given_order


def test_what_does_not_belong_is_an_error_that_says_why() -> None:
    left = [FrozenHit("d1", 1.0, "fused")]
    cursor = order(left).write(Signer(KEY))

    with pytest.raises(CursorExpired, match=r"older than 300 s.*search again from the first page"):
        read(order(left, expires=int(time.time()) - 1).write(Signer(KEY)))
    with pytest.raises(CursorMismatch, match="it reads index 'docs', and this is 'other'"):
        read(cursor, index="other")
    with pytest.raises(CursorMismatch, match="the query, its filter, or another option"):
        read(cursor, digest="of another request")


def test_what_follows_begins_where_the_page_ended() -> None:
    rest = LexicalRest("lexical", Mark(2.0), frozenset({"d9"}))
    left = [FrozenHit(f"d{at}", 1.0, "fused") for at in range(5)]
    following = order(left, rest).after(3, rest, "renamed", KEEP_S)

    assert following is not None
    assert (following.before, following.left, following.view) == (13, tuple(left[3:]), "renamed")
    assert abs(following.expires - time.time() - KEEP_S) < 60
    assert order(left).after(5, None, "renamed", KEEP_S) is None
    assert order(left, rest).after(5, rest, "renamed", KEEP_S) is not None
