"""The words of a text as the embedded store indexes them: split, with n-grams where a script puts no space between
words.

LanceDB's own ICU segmenter was tried: it finds no decimal number and no Korean word before its particle. So texts are
split here, and LanceDB only folds case, stems and counts. The n-grams are those of Lucene's CJKBigramFilter with
`outputUnigrams`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import pairwise

import Stemmer

from connector.text import normalise_text

STEMS = 20_000  # words whose stem is remembered
LANGUAGES = frozenset(
    [
        "danish",
        "dutch",
        "english",
        "finnish",
        "french",
        "german",
        "hungarian",
        "italian",
        "norwegian",
        "portuguese",
        "romanian",
        "russian",
        "spanish",
        "swedish",
        "turkish",
    ]
)
# those of Lucene's analyzer; in the other languages stop words count little, being frequent
STOP_WORDS = {
    "english": frozenset(
        [
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "be",
            "but",
            "by",
            "for",
            "if",
            "in",
            "into",
            "is",
            "it",
            "no",
            "not",
            "of",
            "on",
            "or",
            "such",
            "that",
            "the",
            "their",
            "then",
            "there",
            "these",
            "they",
            "this",
            "to",
            "was",
            "will",
            "with",
        ]
    )
}
# Han, kana and Hangul: a character says something by itself
CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
# Thai, Lao, Burmese and Khmer: only two syllables do
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# between them lie Han, Hangul, surrogates and private use, which have no marks and are most of the plane
WITH_MARKS = (range(0x300, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x1_0000))
_ASCII_WORD = re.compile(r"[a-zA-Z0-9]+")
Extent = tuple[int, int]


def split_for_index(text: str) -> str:
    """The words of a text with a blank between them, in one spelling; unspaced scripts as single characters and
    pairs."""
    return " ".join(_words(normalise_text(text), singles=True))


def split_for_query(text: str) -> str:
    """The same for a query, which looks for pairs where it has any: a single character of them would match too much."""
    return " ".join(_words(normalise_text(text), singles=False))


def word_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, word) of a text's words as they stand, without overlap: of an unspaced script each character."""
    for match in _pattern().finditer(text):
        if match.lastgroup == "word":
            yield match.start(), match.end(), normalise_text(match[0])
        else:
            yield from ((match.start() + at, match.start() + end, match[0][at:end]) for at, end in _units(match[0]))


def _words(text: str, *, singles: bool) -> Iterator[str]:
    if text.isascii():
        yield from _ASCII_WORD.findall(text)
        return
    for match in _pattern().finditer(text):
        if match.lastgroup == "word":
            yield match[0]
            continue
        units = [match[0][start:end] for start, end in _units(match[0])]
        if len(units) == 1 or (singles and match.lastgroup == "cjk"):
            yield from units
        yield from (first + second for first, second in pairwise(units))


def _units(run: str) -> list[Extent]:
    """Where each character stands in a run of an unspaced script, its vowel signs and tone marks with it."""
    starts = [at for at, char in enumerate(run) if at == 0 or not unicodedata.category(char).startswith("M")]
    return list(zip(starts, [*starts[1:], len(run)], strict=True))


@cache
def _pattern() -> re.Pattern[str]:
    """Runs of letters, digits and marks, told apart by script; Python's own `\\w` lacks the marks and has the
    underscore."""
    # a joiner is part of the word whose letters it shapes
    marks = "\u200c\u200d" + "".join(
        chr(code) for codes in WITH_MARKS for code in codes if unicodedata.category(chr(code)).startswith("M")
    )
    return re.compile(
        rf"(?P<cjk>[{CJK}\u3099\u309a]+)|(?P<asian>[{SOUTH_EAST_ASIAN}]+)"
        rf"|(?P<word>(?:[^\W_{CJK}{SOUTH_EAST_ASIAN}]|[{marks}])+)"
    )


@cache
def stemmer(analyzer: str) -> Callable[[str], str]:
    """word -> stem, remembered, in the language of the analyzer; other analyzers keep words as they are."""
    if analyzer not in LANGUAGES:
        return str
    stem: Callable[[str], str] = Stemmer.Stemmer(analyzer, maxCacheSize=0).stemWord  # it would remember them again
    return lru_cache(STEMS)(stem)


def words_with_stems(text: str, analyzer: str) -> set[tuple[str, str]]:
    """(word, stem) of a text's words, stop words left out."""
    stem, stop_words = stemmer(analyzer), STOP_WORDS.get(analyzer, frozenset())
    return {(word, stem(word)) for word in split_for_query(text).lower().split() if word not in stop_words}


def matching_spans(query: str, text: str, analyzer: str) -> list[Extent]:
    """Where the text has a word of the query, or another form of it, in the language of the analyzer."""
    wanted = {word for _, _, word in word_stems(query, analyzer)}
    return [(start, end) for start, end, word in word_stems(text, analyzer) if word in wanted]


def word_stems(text: str, analyzer: str) -> Iterator[tuple[int, int, str]]:
    """Where the words of a text start and end, with their stems; stop words left out."""
    stem, stop_words = stemmer(analyzer), STOP_WORDS.get(analyzer, frozenset())
    words = ((start, end, word.lower()) for start, end, word in word_spans(text))
    return ((start, end, stem(word)) for start, end, word in words if word not in stop_words)
