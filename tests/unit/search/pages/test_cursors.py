"""A cursor carries what is left of an order from process to process, and only what was signed is taken."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import CursorExpired, CursorForged, CursorMismatch
from connector.lexical import Mark, MarkedHit
from connector.search.pages.frozen import FrozenHit, FrozenOrder, LexicalRest, read_cursor
from connector.search.pages.signature import Signer
from connector.types import Hit

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


def order(left: list[FrozenHit], rest: LexicalRest | None = None) -> FrozenOrder:
    return FrozenOrder("docs", "digest", "point in time", 10, tuple(left), rest)


def write(given_order: FrozenOrder, key: str | None = KEY, keep_s: int = KEEP_S) -> str:
    return given_order.write(Signer(key), given_order.view, keep_s)


def read(cursor: str, *, key: str = KEY, index: str = "docs", digest: str = "digest") -> FrozenOrder:
    return read_cursor(cursor, Signer(key), index=index, digest=digest, keep_s=KEEP_S)


@given(st.lists(hits, max_size=20), st.none() | rests)
def test_what_is_left_of_an_order_comes_back(left: list[FrozenHit], rest: LexicalRest | None) -> None:
    given_order = order(left, rest)

    assert read(write(given_order)) == given_order


def test_a_cursor_of_two_hundred_documents_fits_a_header() -> None:
    chance = random.Random(3)
    left = [FrozenHit(f"product-{chance.randrange(10**6)}", chance.random(), "fused") for _ in range(200)]

    assert len(write(order(left))) < 4_000


CURSOR = write(order([FrozenHit("d1", 1.0, "fused")]))


@given(st.data())
def test_a_cursor_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    cursor = CURSOR
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
            read(write(order([FrozenHit("d1", 1.0, "fused")]), key))


def test_processes_with_one_key_read_each_others_cursors_and_one_without_its_own() -> None:
    for key in (KEY, None):
        given_order = order([FrozenHit("d1", 1.0, "fused")])
        cursor = write(given_order, key)

        assert read_cursor(cursor, Signer(key), index="docs", digest="digest", keep_s=KEEP_S) == given_order


def test_what_does_not_belong_is_an_error_that_says_why() -> None:
    left = [FrozenHit("d1", 1.0, "fused")]
    cursor = write(order(left))

    with pytest.raises(CursorExpired, match=r"older than 300 s.*search again from the first page"):
        read(write(order(left), keep_s=-1))
    with pytest.raises(CursorMismatch, match="it reads index 'docs', and this is 'other'"):
        read(cursor, index="other")
    with pytest.raises(CursorMismatch, match="the query, its filter, or another option"):
        read(cursor, digest="of another request")


def test_what_follows_begins_where_the_page_ended() -> None:
    rest = LexicalRest("lexical", Mark(2.0), frozenset({"d9"}))
    left = [FrozenHit(f"d{at}", 1.0, "fused") for at in range(5)]
    following = order(left, rest).after(3, 2, rest)

    assert (following.before, following.left, following.is_over) == (12, tuple(left[3:]), False)
    assert read(following.write(Signer(KEY), "renamed", KEEP_S)).view == "renamed"
    assert order(left).after(5, 5, None).is_over
    assert not order(left, rest).after(5, 5, rest).is_over


def marked(*scores: float) -> list[MarkedHit]:
    """Hits d0, d1, ... with those scores."""
    return [MarkedHit(Hit(f"d{at}", score), Mark(score, (f"d{at}",))) for at, score in enumerate(scores)]


def test_the_lexical_order_goes_on_without_what_was_in_the_frozen_one() -> None:
    rest = LexicalRest("lexical", Mark(5.0), frozenset({"d0", "d2", "x"}))
    page, following = rest.take(marked(5, 4, 3, 2, 1), 2, is_end=True)
    assert following is not None
    last, end = following.take(marked(5, 4, 3, 2, 1)[4:], 2, is_end=True)

    assert [(hit.doc_id, hit.stage) for hit in page] == [("d1", "lexical"), ("d3", "lexical")]
    assert following == LexicalRest("lexical", Mark(2, ("d3",)), frozenset({"x"}))
    assert ([hit.doc_id for hit in last], end) == (["d4"], None)


def test_no_page_is_promised_where_only_documents_follow_that_were_before() -> None:
    rest = LexicalRest("lexical", Mark(5.0), frozenset({"d2", "d3"}))

    assert rest.take(marked(5, 4, 3, 2), 2, is_end=True)[1] is None
    assert rest.take(marked(5, 4, 3, 2), 2, is_end=False)[1] == LexicalRest("lexical", Mark(2, ("d3",)), frozenset())
