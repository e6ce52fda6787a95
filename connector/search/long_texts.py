"""A text longer than a passage -> its first passage, and those that hold most of the query's words.

An index that the connector did not make has no passages, and a reranker reads no more than the beginning of a long
text. So such a text is cut when it is to be reranked. What to send of it is chosen by words alone, since that costs
next to nothing: BM25 over the passages of all texts of the window (Robertson and Zaragoza 2009, "The Probabilistic
Relevance Framework")."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.cutting import cut_spans
from connector.types import Hit, Passage, Ranking

MAX_TOKENS = 240  # of a passage: with a query it fits the models of 256 tokens, and is half of what others read
OVERLAP_TOKENS = 32
TITLE_SHARE = 0.25  # a first line of at most this share of a passage is repeated before each
SHORT_CHARS = 2 * MAX_TOKENS  # a text of so many characters is taken for one passage without a look at its words
MAX_CHARS = 200_000  # of a text that are cut; the rest of a longer one is not looked at
SCRIPTS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # that are written without spaces: a character counts as a word
# about what the models' tokenizers make of a text: such a character, up to six letters of a word, a mark
PIECE = re.compile(rf"[{SCRIPTS}]|[^\W{SCRIPTS}]{{1,6}}|[^\w\s]")
WORD = re.compile(rf"[{SCRIPTS}]|[^\W{SCRIPTS}]+")
STEM = 6  # letters by which two words are taken for forms of one
K1, B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class ChosenPassages:
    """The window with its long texts cut: `cut` says how many there were, `shortened` of how many the end was left."""

    window: Ranking
    cut: int = 0
    shortened: int = 0


def choose_passages(query: str, window: Ranking, *, passages: int, titled: bool = False) -> ChosenPassages:
    """The same documents, each long passage replaced by up to `passages` of its own: its beginning, then those that
    hold most of the query's words.

    A passage with none of them is left out. `titled`: the first line of a text is its title, and heads each passage."""
    pieces = {
        (hit.doc_id, passage.ordinal): list(_cut(passage, titled=titled))
        for hit in window
        for passage in hit.passages
        if len(passage.text) > SHORT_CHARS
    }
    pieces = {key: found for key, found in pieces.items() if len(found) > 1}
    if not pieces:
        return ChosenPassages(window)
    rates = iter(_rate(query, [passage.text for found in pieces.values() for passage in found]))
    best = {key: _best([(next(rates), passage) for passage in found], passages) for key, found in pieces.items()}
    shortened = sum(len(passage.text) > MAX_CHARS for hit in window for passage in hit.passages)
    return ChosenPassages(tuple(_replaced(hit, best) for hit in window), len(pieces), shortened)


def _replaced(hit: Hit, best: dict[tuple[str, int], list[Passage]]) -> Hit:
    found = [piece for passage in hit.passages for piece in best.get((hit.doc_id, passage.ordinal), [passage])]
    return hit._replace(passages=tuple(found))


def _cut(passage: Passage, *, titled: bool) -> Iterator[Passage]:
    """The passages of a text; it alone where it is no longer than one."""
    text = passage.text[:MAX_CHARS]
    offsets = [match.span() for match in PIECE.finditer(text)]
    if len(offsets) <= MAX_TOKENS:
        yield passage
        return
    title, room = "", MAX_TOKENS
    if titled and (end := text.find("\n")) > 0:
        tokens = sum(start < end for start, _ in offsets[: int(MAX_TOKENS * TITLE_SHARE) + 1])
        if tokens <= MAX_TOKENS * TITLE_SHARE:
            title, room = text[: end + 1], MAX_TOKENS - tokens
    for ordinal, (start, end) in enumerate(cut_spans(text, offsets, room, OVERLAP_TOKENS)):
        yield Passage(passage.doc_id, ordinal, f"{title if ordinal else ''}{text[start:end].strip()}")


def _best(rated: Sequence[tuple[float, Passage]], count: int) -> list[Passage]:
    """The first passage, and the best of those that hold any word of the query."""
    (_, first), *others = rated
    found = sorted((each for each in others if each[0] > 0), key=lambda each: (-each[0], each[1].ordinal))
    return [first, *(passage for _, passage in found)][:count]


def _rate(query: str, texts: Sequence[str]) -> list[float]:
    """BM25 of each text for the query's words, by their first letters, over these texts."""
    stems = list(dict.fromkeys(word[:STEM] for word in WORD.findall(query.casefold())))
    if not stems:
        return [0.0] * len(texts)
    beginnings = sorted(map(re.escape, stems), key=len, reverse=True)  # the first that fits is taken
    pattern = re.compile(rf"(?:\b|(?=[{SCRIPTS}]))(?:{'|'.join(beginnings)})")
    counts = [Counter(pattern.findall(text.casefold())) for text in texts]
    having = Counter(stem for count in counts for stem in count)
    mean = sum(map(len, texts)) / len(texts)
    rarity = {stem: math.log(1 + (len(texts) - having[stem] + 0.5) / (having[stem] + 0.5)) for stem in having}
    return [
        sum(
            rarity[stem] * times * (K1 + 1) / (times + K1 * (1 - B + B * len(text) / mean))
            for stem, times in count.items()
        )
        for text, count in zip(texts, counts, strict=True)
    ]
