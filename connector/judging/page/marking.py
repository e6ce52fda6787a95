"""Where a text has the words of a query: marked for the eye, and to find the best part of a long text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from connector.cutting import cut_spans
from connector.text import normalise_text

Marks = Sequence[tuple[int, int]]  # [start, end) in characters, in their order, none within another

# scripts that put no space between words: there two characters in a row count as a word
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
# marks that belong to the letter before them: accents, points of Hebrew and Arabic, vowels of Indic scripts
WITHIN = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff"
WORD = re.compile(rf"[{UNSPACED}]+|(?:[^\W_{UNSPACED}]|[{WITHIN}])+")
UNSPACED_RUN = re.compile(rf"[{UNSPACED}]+")
ACCENT = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]")
STEM = 6  # letters by which two words are taken for forms of one
MIN_FORM = 3  # letters of a word that may have an ending more
MAX_ENDING = 2
COMMON = 0.5  # of the pool's texts: what more of them hold says nothing of any
MIN_TEXTS = 20  # of which that can be said
LONG_PIECES = 260  # of a text that is shown as its best part
PART_PIECES = 110
# about a token of a model: an unspaced character, up to six letters of a word, a mark
PIECE = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]{{1,6}}|[^\w\s]")


@dataclass(frozen=True, slots=True)
class CommonWords:
    """The words, folded, that so many texts of a pool hold that to mark them would be noise."""

    words: Collection[str] = ()


def find_common_words(texts: Iterable[str]) -> CommonWords:
    """Those of a pool."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update({fold(match[0]) for match in WORD.finditer(text)})
    if total < MIN_TEXTS:
        return CommonWords()
    return CommonWords(frozenset(word for word, count in counts.items() if count > COMMON * total))


def find_marks(query: str, text: str, common: CommonWords) -> Marks:
    """Where the text has a word of the query or a form of it. Words that are common, or a single letter, count where
    the query has no others."""
    words = [fold(match[0]) for match in WORD.finditer(query)]
    long = [word for word in words if len(word) > 1 or UNSPACED_RUN.fullmatch(word)] or words
    wanted = {word for word in long if word not in common.words} or set(long)
    pairs = {pair for word in wanted if UNSPACED_RUN.fullmatch(word) for pair in _pairs(word)}
    stems = {word[:STEM] for word in wanted if len(word) >= STEM}
    marks: list[tuple[int, int]] = []
    for match in WORD.finditer(text):
        if UNSPACED_RUN.fullmatch(match[0]):
            marks += _runs(match[0], pairs, match.start())
        elif _is_form(fold(match[0]), wanted, stems):
            marks.append(match.span())
    return marks


def cut_best_part(text: str, marks: Marks) -> tuple[int, int] | None:
    """The part of a long text, between borders of sentences, that holds the most of what is marked: different words
    first, the first of several. None for a text that is short enough to be shown whole."""
    offsets = [match.span() for match in PIECE.finditer(text)]
    if len(offsets) <= LONG_PIECES:
        return None
    parts = list(cut_spans(text, offsets, PART_PIECES, 0))

    def weigh(part: tuple[int, int]) -> tuple[int, int]:
        held = [fold(text[start:end])[:STEM] for start, end in marks if part[0] <= start < part[1]]
        return len(set(held)), len(held)

    start, end = max(parts, key=weigh)
    return start, start + len(text[start:end].rstrip())


def fold(word: str) -> str:
    """The spelling in which words are compared: without case, accents and points."""
    bare = ACCENT.sub("", unicodedata.normalize("NFD", normalise_text(word).casefold()))
    return unicodedata.normalize("NFC", bare)


def _is_form(word: str, wanted: Collection[str], stems: Collection[str]) -> bool:
    if word in wanted or word[:STEM] in stems:
        return True
    shorter = (word[: len(word) - cut] for cut in range(1, MAX_ENDING + 1) if len(word) - cut >= MIN_FORM)
    return any(stem in wanted for stem in shorter) or (
        len(word) >= MIN_FORM
        and any(query_word.startswith(word) and len(query_word) - len(word) <= MAX_ENDING for query_word in wanted)
    )


def _pairs(run: str) -> Iterator[str]:
    """Each two characters in a row that do not begin with a vowel sign; one that stands alone as it is."""
    if len(run) == 1:
        yield run
    yield from (run[at : at + 2] for at in range(len(run) - 1) if not unicodedata.category(run[at]).startswith("M"))


def _runs(run: str, pairs: Collection[str], start: int) -> Iterator[tuple[int, int]]:
    """Where the run has what the query has, joined where it touches."""
    begun = end = -1
    for at in range(len(run)):
        length = max((len(gram) for gram in (run[at], run[at : at + 2]) if gram in pairs), default=0)
        while length and unicodedata.category(run[at + length : at + length + 1] or " ").startswith("M"):
            length += 1
        if length and at > end:
            if end >= 0:
                yield start + begun, start + end
            begun = at
        if length:
            end = max(end, at + length)
    if end >= 0:
        yield start + begun, start + end
