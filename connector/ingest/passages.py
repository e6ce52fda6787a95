"""Documents -> passages that fit the encoder: cut at sentence borders, each repeating the end of the one before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from connector.schema import IndexSchema
from connector.text import normalise_text
from connector.types import Document, Passage

Offsets = Sequence[tuple[int, int]]
SPECIAL_TOKENS = 2  # what an encoder puts around a text
MID_WORD_TOKENS = 2  # how many more the rest of a word may be when it stands alone
TITLE_SHARE = 0.25  # a first text field of at most this share of a passage is repeated before each passage
# after the end of a sentence or a line; CJK full stops need no space after them
BORDER = re.compile(r"(?<=[.!?;…])[\"')\]»”’]*\s+|(?<=[。！？])|\n+")


def cut(
    documents: Sequence[Document],
    schema: IndexSchema,
    *,
    max_tokens: int,
    token_offsets: Callable[[Sequence[str]], list[list[tuple[int, int]]]],
) -> list[tuple[Passage, ...]]:
    """The passages of each document: its text fields in order, at most `max_tokens` long, each headed by the title.

    Passages are in the one spelling of `normalise_text`; the document's fields keep the source's.
    The title is the first of several text fields, if it is short. `token_offsets` gives the tokens of texts as
    spans."""
    names = list(schema.fields.text)
    title_names, body_names = (names[:1], names[1:]) if len(names) > 1 else ([], names)
    titles = [_text_of(document, title_names) for document in documents]
    bodies = [_text_of(document, body_names) for document in documents]
    title_tokens, body_tokens = token_offsets(titles), token_offsets(bodies)
    room = max_tokens - SPECIAL_TOKENS
    passages = []
    for document, title, body, title_at, body_at in zip(
        documents, titles, bodies, title_tokens, body_tokens, strict=True
    ):
        if len(title_at) > room * TITLE_SHARE:  # no title, but text that happens to come first
            body, title = f"{title}\n{body}", ""
            (body_at,) = token_offsets([body])
            title_at = []
        texts = [
            body[start:end].strip()
            for start, end in _spans(body, body_at, room - len(title_at), schema.passages.overlap_tokens)
        ]
        headed = [f"{title}\n{text}" if title and text else title or text for text in texts] or (
            [title] if title else []
        )
        passages.append(tuple(Passage(document.doc_id, ordinal, text) for ordinal, text in enumerate(headed)))
    return passages


def _text_of(document: Document, names: Sequence[str]) -> str:
    return normalise_text("\n".join(document.fields[name] for name in names if name in document.fields))


def _spans(text: str, offsets: Offsets, room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Spans of the text in characters, each of at most `room` tokens, between sentence borders where they can be."""
    if len(offsets) <= room:
        if offsets:
            yield 0, len(text)
        return
    sentences = list(_sentences(text, offsets, room))
    first = 0
    while True:
        last = first
        while last + 1 < len(sentences) and sentences[last + 1][1] - sentences[first][0] <= _room_at(
            sentences[first][0], offsets, room
        ):
            last += 1
        start, end = sentences[first][0], sentences[last][1]
        # to the next token, not to the end of the last one: a combining mark may belong to no token
        yield offsets[start][0] if start else 0, offsets[end][0] if end < len(offsets) else len(text)
        if last + 1 == len(sentences):
            return
        following = last + 1
        while following - 1 > first and end - sentences[following - 1][0] <= overlap and (
            sentences[last + 1][1] - sentences[following - 1][0] <= _room_at(sentences[following - 1][0], offsets, room)
        ):  # fmt: skip
            following -= 1
        first = following


def _sentences(text: str, offsets: Offsets, room: int) -> Iterator[tuple[int, int]]:
    """Token ranges [start, end) of the sentences; one that is too long is cut between words as often as it must be."""
    borders = [match.end() for match in BORDER.finditer(text)]
    starts = [0]
    position = 0
    for border in borders:
        while position < len(offsets) and offsets[position][0] < border:
            position += 1
        if starts[-1] < position < len(offsets):
            starts.append(position)
    for start, end in zip(starts, [*starts[1:], len(offsets)], strict=True):
        while end - start > (most := _room_at(start, offsets, room)):
            middle = start + most
            while middle > start + most // 2 and _within_word(middle, offsets):
                middle -= 1  # keep the pieces of a word together
            middle = start + most if _within_word(middle, offsets) else middle
            yield start, middle
            start = middle
        yield start, end


def _room_at(start: int, offsets: Offsets, room: int) -> int:
    """The most tokens of a passage that begins with this token."""
    return room - MID_WORD_TOKENS if _within_word(start, offsets) else room


def _within_word(position: int, offsets: Offsets) -> bool:
    """Whether no white space parts this token from the one before."""
    return position > 0 and offsets[position - 1][1] == offsets[position][0]
