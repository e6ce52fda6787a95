"""A text longer than a passage -> its first passage, and those that hold most of the query's words.

An index that the connector did not make has no passages, and a reranker reads no more than the beginning of a long
text. So such a text is cut when it is to be reranked. What to send of it is chosen by words alone, since that costs
little: BM25 over the text's own passages (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework"). It
depends on the text and the query alone, so that a search and a tuning send the same."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.cutting import cut_spans
from connector.schema import IndexSchema
from connector.types import Hit, Passage, Ranking

MAX_TOKENS = 240  # of a passage: with a query it fits the models of 256 tokens, and is half of what others read
OVERLAP_TOKENS = 32
TITLE_SHARE = 0.25  # a first line of at most this share of a passage is repeated before each
SHORT_CHARS = 2 * MAX_TOKENS  # a text of so many characters is taken for one passage without a look at its words
MAX_CHARS = 100_000  # of a text that are cut; the rest of a longer one is not looked at
SCRIPTS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # that are written without spaces: a character counts as a word
# about what the models' tokenizers make of a text: such a character, up to six letters of a word, a mark
PIECE = re.compile(rf"[{SCRIPTS}]|[^\W{SCRIPTS}]{{1,6}}|[^\w\s]")
WORD = re.compile(rf"[{SCRIPTS}]|[^\W{SCRIPTS}]+")
STEM = 6  # letters by which two words are taken for forms of one
K1, B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class ChosenPassages:
    """The ranking with its long texts cut. `shortened` counts those of which the end was not looked at, `late` those
    that there was no time to cut, of which a reranker reads the beginning."""

    ranking: Ranking
    shortened: int = 0
    late: int = 0

    @property
    def notes(self) -> Iterator[str]:
        """What of the texts had no chance to be sent."""
        if self.shortened:
            yield f"of {self.shortened} texts only the first {MAX_CHARS:,} characters were looked at"
        if self.late:
            yield f"of {self.late} long texts only the beginning was reranked, since there was no time to cut them"


async def cut_long_texts(
    query: str, ranking: Ranking, schema: IndexSchema, *, passages: int, timeout_s: float
) -> ChosenPassages:
    """The same where the index has no passages of its own; in a thread, since long texts take tenths of a second."""
    if schema.managed or not any(_is_long(passage) for hit in ranking for passage in hit.passages):
        return ChosenPassages(ranking)
    titled = len(schema.fields.text) > 1
    until = time.monotonic() + timeout_s
    return await asyncio.to_thread(choose_passages, query, ranking, passages=passages, titled=titled, until=until)


def choose_passages(
    query: str, ranking: Ranking, *, passages: int, titled: bool = False, until: float = math.inf
) -> ChosenPassages:
    """The same documents, each long passage replaced by up to `passages` of its own: its beginning, then those that
    hold most of the query's words.

    A passage with none of them is left out. `titled`: the first line of a text is its title, and heads each passage.
    What is not cut `until` a time of the monotonic clock stays whole."""
    shortened = sum(len(passage.text) > MAX_CHARS for hit in ranking for passage in hit.passages)
    cut: list[Hit] = []
    for hit in ranking:
        if time.monotonic() >= until:
            break
        cut.append(_cut_hit(hit, query, passages, titled))
    rest = ranking[len(cut) :]
    late = sum(any(map(_is_long, hit.passages)) for hit in rest)
    return ChosenPassages((*cut, *rest), shortened, late)


def _cut_hit(hit: Hit, query: str, count: int, titled: bool) -> Hit:
    if not any(map(_is_long, hit.passages)):
        return hit
    chosen = [
        piece
        for passage in hit.passages
        for piece in (_best(query, list(_cut(passage, titled=titled)), count) if _is_long(passage) else [passage])
    ]
    return hit._replace(passages=tuple(chosen))


def _is_long(passage: Passage) -> bool:
    return len(passage.text) > SHORT_CHARS


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


def _best(query: str, cut: Sequence[Passage], count: int) -> list[Passage]:
    """The first passage, and the best of those that hold any word of the query."""
    if len(cut) == 1:
        return [*cut]
    rated = list(zip(_rate(query, [passage.text for passage in cut]), cut, strict=True))
    found = sorted(
        (scored for scored in rated[1:] if scored[0] > 0), key=lambda scored: (-scored[0], scored[1].ordinal)
    )
    return [cut[0], *(passage for _, passage in found)][:count]


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
