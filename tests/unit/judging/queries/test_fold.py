"""What is one query, and in which spelling it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.judging.logs.outcome import SearchedFor
from connector.judging.queries.fold import QueryCounter, fold_key


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Red  Shoes", "red shoes"),
        ("red shoes?", "red shoes"),
        ("cafe\u0301", "café"),
        ("ﬁlter", "filter"),
        ("ｒｅｄ\u00a0shoes\u200b", "red shoes"),
        ("red shoes . . .", "red shoes"),
    ],
)
def test_spellings_are_folded(left: str, right: str) -> None:
    assert fold_key(left) == fold_key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("shoes red", "red shoes"),
        ("shoe", "shoes"),
        ("Masse", "Maße"),
        ("x²", "x2"),
        ("c", "c++"),
        ("c#", "c"),
        ("café", "cafe"),
        ("tv", '"tv"'),
    ],
)
def test_words_and_meanings_are_not(left: str, right: str) -> None:
    assert fold_key(left) != fold_key(right)


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold_key(fold_key(text)) == fold_key(text)


def test_control_characters_are_no_part_of_a_query() -> None:
    counter = QueryCounter()
    counter.add(SearchedFor("\x1b[31mRed\x07 fish\x9b"))

    assert [query.text for query in counter.queries()] == ["[31mRed fish"]


def test_half_an_emoji_where_a_log_was_cut_is_no_part_of_a_query() -> None:
    counter = QueryCounter()
    for text in ("red fish \ud83d", "red fish", "\ud83d"):
        counter.add(SearchedFor(text))
    (query,) = counter.queries()

    assert (query.text, query.frequency, len(query.query_id)) == ("red fish", 2, 11)
    assert counter.left_out.total() == 1


def test_the_most_frequent_spelling_is_kept_and_all_of_them_count() -> None:
    counter = QueryCounter()
    for text, times in (("USB-C Hub", 5), ("usb-c hub", 2), ("USB-C hub?", 4), ("hats", 7), ("Hats", 3)):
        counter.add(SearchedFor(text, times))

    assert [(query.text, query.frequency) for query in counter.queries()] == [("USB-C Hub", 11), ("hats", 10)]


def test_parts_of_one_search_count_once() -> None:
    counter = QueryCounter()
    for part in ["[shop][0]", "[shop][1]", "[shop][0]", "[shop][1]", "[shop][1]"]:
        counter.add(SearchedFor("hats", part=part))
    counter.add(SearchedFor("shoes", times=0))

    assert [(query.text, query.frequency) for query in counter.queries()] == [("hats", 3), ("shoes", 1)]


def test_an_id_depends_on_the_query_alone() -> None:
    first, second = QueryCounter(), QueryCounter()
    first.add(SearchedFor("Hats"))
    second.add(SearchedFor("shoes", 9))
    second.add(SearchedFor("hats?", 2))

    assert first.queries()[0].query_id == second.queries()[1].query_id
    assert second.queries()[0].query_id != second.queries()[1].query_id


def test_what_is_no_query_is_counted() -> None:
    counter = QueryCounter()
    for text in ("???", "*", "  ", "x" * 1001, "😀", "7"):
        counter.add(SearchedFor(text))

    assert [query.text for query in counter.queries()] == ["7", "😀"]
    assert counter.left_out == {"no letter and no digit in it": 3, "longer than 1,000 characters": 1}
