"""Where documents are cut into passages, with the tokens of words and of real encoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.parts import HashEncoder, document, schema_of
from support.runs.effort import tries

from connector.cutting import cut_spans
from connector.ingest.passages import SPECIAL_TOKENS, cut
from connector.models.tokenizer import unlimited
from connector.text import normalise_text
from connector.types import Passage

WORDS = HashEncoder()


def texts_of(
    *, max_tokens: int, overlap: int = 0, fields: dict[str, str], text: Sequence[str] = ("title", "text")
) -> list[str]:
    """The passages of one document whose tokens are its words. Two of `max_tokens` are special."""
    schema = schema_of(WORDS, overlap_tokens=overlap, text=dict.fromkeys(text, 1.0))
    (passages,) = cut([document("d", **fields)], schema, max_tokens=max_tokens, token_offsets=WORDS.token_offsets)
    assert [passage.ordinal for passage in passages] == list(range(len(passages)))
    return [passage.text for passage in passages]


def test_a_short_document_is_one_passage_with_its_title() -> None:
    assert texts_of(max_tokens=20, fields={"title": "The title", "text": "One. Two."}) == ["The title\nOne. Two."]


def test_a_passage_is_in_the_spelling_that_is_compared() -> None:
    fields = {"title": "Mu\u0308\u00adhle", "text": "o\ufb03ce\u00a0ﬂange"}

    assert texts_of(max_tokens=20, fields=fields) == ["Mühle\noffice flange"]


def test_a_long_document_is_cut_between_sentences() -> None:
    texts = texts_of(max_tokens=8, fields={"text": "One two three. Four five. Six seven eight nine. Ten."})

    assert texts == ["One two three. Four five.", "Six seven eight nine. Ten."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three! four five", ["one two three!", "four five"]),
        ("one two three? four five", ["one two three?", "four five"]),
        ('he said "two three." four five', ['he said "two three."', "four five"]),
        ("one two three\nfour five", ["one two three", "four five"]),
        ("version 2.5 is three. four", ["version 2.5 is three.", "four"]),
    ],
)
def test_a_sentence_ends_where_people_end_it(text: str, expected: list[str]) -> None:
    assert texts_of(max_tokens=6, fields={"text": text}, text=["text"]) == expected


def test_a_passage_repeats_whole_sentences_of_the_one_before() -> None:
    texts = texts_of(max_tokens=8, overlap=2, fields={"text": "a b c. d e. f g h. i j. k."}, text=["text"])

    assert texts == ["a b c. d e.", "d e. f g h.", "i j. k."]


def test_a_sentence_longer_than_the_overlap_is_not_repeated() -> None:
    texts = texts_of(max_tokens=8, overlap=1, fields={"text": "a b c. d e. f g h. i j."}, text=["text"])

    assert texts == ["a b c. d e.", "f g h. i j."]


def test_an_overlap_as_long_as_a_passage_still_moves_on() -> None:
    texts = texts_of(max_tokens=4, overlap=99, fields={"text": "a. b. c. d."}, text=["text"])

    assert texts == ["a. b.", "b. c.", "c. d."]


def test_a_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    texts = texts_of(max_tokens=6, fields={"text": " ".join("abcdefghij")}, text=["text"])

    assert texts == ["a b c d", "e f g h", "i j"]


def test_every_passage_has_the_title_on_top() -> None:
    texts = texts_of(max_tokens=8, fields={"title": "T", "text": "a b c d e. f g h i j."})

    assert texts == ["T\na b c d e.", "T\nf g h i j."]


def test_a_first_field_too_long_for_a_title_is_text() -> None:
    texts = texts_of(max_tokens=6, fields={"title": "one two three.", "text": "four five six."})

    assert texts == ["one two three.", "four five six."]


def test_a_single_text_field_is_never_a_title() -> None:
    assert texts_of(max_tokens=6, fields={"text": "T"}, text=["text"]) == ["T"]


def test_all_fields_after_the_title_are_text_in_their_order() -> None:
    texts = texts_of(max_tokens=20, fields={"c": "third", "a": "A", "b": "second"}, text=["a", "b", "c"])

    assert texts == ["A\nsecond\nthird"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"title": "T"}, ["T"]), ({"text": "x"}, ["x"]), ({}, []), ({"title": " ", "text": "\n"}, [" "])],
)
def test_a_document_of_one_field_or_none(fields: dict[str, str], expected: list[str]) -> None:
    assert [text.strip() for text in texts_of(max_tokens=20, fields=fields)] == [text.strip() for text in expected]


def test_documents_keep_their_order_and_their_ids() -> None:
    documents = [document("a", text="one"), document("b"), document("c", text="a b c d. e f g h.")]

    passages = cut(documents, schema_of(WORDS), max_tokens=6, token_offsets=WORDS.token_offsets)

    assert passages == [
        (Passage("a", 0, "one"),),
        (),
        (Passage("c", 0, "a b c d."), Passage("c", 1, "e f g h.")),
    ]


class Pieces:
    """MiniLM's tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._core = unlimited(tokenizer)

    def offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [encoding.offsets for encoding in self._core.encode_batch(list(texts), add_special_tokens=False)]

    def length(self, text: str) -> int:
        return len(self._core.encode(text, add_special_tokens=True).ids)


@pytest.fixture(scope="module")
def pieces(tokenizer: Any) -> Pieces:
    return Pieces(tokenizer)


def cut_by(pieces: Pieces, title: str, body: str, max_tokens: int, overlap: int) -> list[str]:
    schema = schema_of(WORDS, overlap_tokens=overlap)
    (passages,) = cut(
        [document("d", title=title, text=body)], schema, max_tokens=max_tokens, token_offsets=pieces.offsets
    )
    return [passage.text for passage in passages]


def spans_of(pieces: Pieces, body: str, room: int, overlap: int) -> list[tuple[int, int]]:
    (offsets,) = pieces.offsets([body])
    return list(cut_spans(body, offsets, room, overlap))


def lost(body: str, spans: Sequence[tuple[int, int]]) -> str:
    """What of the body lies in no span, white space left out."""
    kept = {position for start, end in spans for position in range(start, end)}
    return "".join(
        character for position, character in enumerate(body) if position not in kept and not character.isspace()
    )


ENGLISH = (
    "Tier-2 partners keep a registered deal for 90 days (see FL-2207). Extensions are granted once! Can it be renewed? "
    "Ask partners@example.com; the reply takes 3.5 days on average… “Quoted endings.” Then more text follows here.\n"
    "A list:\n- first\n- second entry, with Ünïcödé and 漢字。日本語の文。次の文。\n\n"
)


@pytest.mark.parametrize("max_tokens", [16, 33, 64, 256])
@pytest.mark.parametrize("overlap", [0, 8, 32])
def test_real_text_fits_the_encoder_and_is_covered(pieces: Pieces, max_tokens: int, overlap: int) -> None:
    body = ENGLISH * 6

    texts = cut_by(pieces, "Deal", body, max_tokens, overlap)

    assert len(texts) > 1
    assert max(map(pieces.length, texts)) <= max_tokens
    assert lost(body, spans_of(pieces, body, max_tokens - SPECIAL_TOKENS, overlap)) == ""


@pytest.mark.parametrize("overlap", [0, 8, 32])
def test_a_passage_repeats_no_more_than_the_overlap(pieces: Pieces, overlap: int) -> None:
    body = ENGLISH * 6

    spans = spans_of(pieces, body, 64, overlap)

    repeated = [body[start:end] for (_, end), (start, _) in pairwise(spans)]
    assert max(pieces.length(text) - SPECIAL_TOKENS for text in repeated) <= overlap
    assert any(repeated) == (overlap > 0)


readable = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from([*"  \n..!?abcdeé字\u0301\u108d\u200b\x07"]),
    max_size=300,
)
words = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
    | st.sampled_from([".", "!", "\n", "2.5", "e.g.", "字。", "FL-2207"]),
    max_size=120,
).map(" ".join)


@settings(max_examples=tries(80))
@given(body=words | readable, max_tokens=st.sampled_from([24, 40, 256]), overlap=st.integers(0, 40))
@example(body="0:0:0:\u108d0" * 9, max_tokens=24, overlap=0)
@example(body="a" * 2_000, max_tokens=24, overlap=8)
@example(body="字" * 500, max_tokens=24, overlap=8)
@example(body="https://example.com/" + "a1b2/" * 80, max_tokens=24, overlap=0)
@example(body=". . . . " * 60, max_tokens=24, overlap=24)
@example(body="\n" * 50, max_tokens=24, overlap=0)
def test_any_text_is_covered_by_passages_that_fit(pieces: Pieces, body: str, max_tokens: int, overlap: int) -> None:
    texts = cut_by(pieces, "", body, max_tokens, overlap)

    assert all(pieces.length(text) <= max_tokens for text in texts)
    assert not texts or lost(body, spans_of(pieces, body, max_tokens - SPECIAL_TOKENS, overlap)) == ""


runs = st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=100), max_size=6).map(" ".join)


@given(body=runs, max_tokens=st.sampled_from([24, 64, 256]))
@example(body="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 8, max_tokens=24)
@example(
    body="d9uleplp3zqxzw90fy6p0k074jzjkg5472lirmj6uo8s0rntbr4ymlxpu4j04n39b4ezc3openqpmqilcqkcul1ffh", max_tokens=24
)
@example(
    body="b0c8ttwi7iql4yq7pk4fmwa5d901hzu0twze3meq2hq8ep8wrpu0deajmogmwk8fkz63bguny0ogcfe9tml2lfwe56", max_tokens=24
)
def test_words_longer_than_a_passage_are_cut_to_fit(pieces: Pieces, body: str, max_tokens: int) -> None:
    texts = cut_by(pieces, "", body, max_tokens, 0)

    assert all(pieces.length(text) <= max_tokens for text in texts)
    assert "".join("".join(texts).split()) == "".join(body.split())


@given(title=words, body=words, max_tokens=st.sampled_from([24, 40]))
def test_passages_with_titles_fit(pieces: Pieces, title: str, body: str, max_tokens: int) -> None:
    texts = cut_by(pieces, title, body, max_tokens, 8)

    assert all(pieces.length(text) <= max_tokens for text in texts)
    for word in {*title.split(), *body.split()}:
        assert any(word in text for text in texts)


@settings(max_examples=tries(60))
@given(body=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_odd_characters_are_cut_without_fault(pieces: Pieces, body: str) -> None:
    texts = cut_by(pieces, "", body, 16, 4)

    assert all(text in normalise_text(body) for text in texts)
