"""A text cut at the borders of its sentences, into spans that hold so many tokens at most."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Offsets = Sequence[tuple[int, int]]  # of tokens: [start, end) in characters
MID_WORD_TOKENS = 2  # how many more the rest of a word may be when it stands alone
# after the end of a sentence or a line; CJK full stops need no space after them
BORDER = re.compile(r"(?<=[.!?;…])[\"')\]»”’]*\s+|(?<=[。！？])|\n+")


def cut_spans(text: str, offsets: Offsets, room: int, overlap: int) -> Iterator[tuple[int, int]]:
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
