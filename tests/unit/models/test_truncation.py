"""What is kept of a text that is longer than a model reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.parts import WORD

from connector.models.truncation import JOINT, keep_head_and_tail


def cut(text: str, max_tokens: int) -> tuple[str, bool]:
    return keep_head_and_tail(text, [match.span() for match in WORD.finditer(text)], max_tokens=max_tokens)


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert cut(" a b c ", 3) == (" a b c ", False)


def test_a_long_text_keeps_three_quarters_of_its_head_and_the_rest_of_its_tail() -> None:
    assert cut("a b c d e f g h i j", 9) == ("a b c d e f … i j", True)


def test_room_for_one_token_keeps_the_head() -> None:
    assert (cut("a b c", 1), cut("a b c", 2)) == (("a", True), ("a", True))


def test_an_empty_text_fits() -> None:
    assert cut("", 0) == ("", False)


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=60), st.integers(1, 60))
def test_what_is_kept_fits_and_comes_from_both_ends(words: list[str], max_tokens: int) -> None:
    kept, was_cut = cut(" ".join(words), max_tokens)

    assert was_cut == (len(words) > max_tokens)
    assert len(kept.split()) <= max_tokens
    head, _, tail = kept.partition(JOINT)
    assert words[: len(head.split())] == head.split()
    assert not was_cut or words[len(words) - len(tail.split()) :] == tail.split()
