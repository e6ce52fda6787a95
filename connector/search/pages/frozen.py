"""What a cursor carries: the state of the index, what is left of the frozen order, and where the lexical one goes
on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Self

from connector.errors import CursorExpired, CursorForged, CursorMismatch
from connector.lexical import Mark, MarkedHit
from connector.search.pages.signature import Signer

FORM = 1  # of the content; another release may write another


@dataclass(frozen=True, slots=True)
class FrozenHit:
    """A document that is still to come; `stage` placed it."""

    doc_id: str
    score: float
    stage: str


@dataclass(frozen=True, slots=True)
class LexicalRest:
    """What follows the frozen order: the order of a lexical leg from a mark on, without documents that were in it."""

    leg: str
    mark: Mark
    without: frozenset[str]

    def take(self, marked: Sequence[MarkedHit], count: int, *, is_end: bool) -> tuple[list[FrozenHit], Self | None]:
        """Up to `count` documents of those that follow the mark, and what follows them; None where nothing does.

        `is_end`: behind those there are no others."""
        taken: dict[str, FrozenHit] = {}
        place, without = self.mark, set(self.without)
        for hit, mark in marked:
            if hit.doc_id in without:
                without.remove(hit.doc_id)
            elif len(taken) < count:
                taken.setdefault(hit.doc_id, FrozenHit(hit.doc_id, hit.score, self.leg))
            else:
                break
            place = mark
        else:
            if is_end:
                return list(taken.values()), None
        return list(taken.values()), replace(self, mark=place, without=frozenset(without))


@dataclass(frozen=True, slots=True)
class FrozenOrder:
    """All pages of a search that are still to come. `index` and `digest` say which search; `view` is the state of the
    index, `before` how many hits there were before."""

    index: str
    digest: str
    view: str
    before: int
    left: tuple[FrozenHit, ...]
    rest: LexicalRest | None

    @property
    def is_over(self) -> bool:
        """Whether there are no more pages."""
        return not self.left and self.rest is None

    def after(self, taken: int, hits: int, rest: LexicalRest | None) -> Self:
        """What is left after so many more documents, of which so many were hits."""
        return replace(self, before=self.before + hits, left=self.left[taken:], rest=rest)

    def write(self, signer: Signer, view: str, keep_s: int) -> str:
        """The cursor, to be read within `keep_s`; `view` is what the state is called now."""
        rest = [self.rest.leg, *self.rest.mark, sorted(self.rest.without)] if self.rest else None
        stages = [(stage, len(list(run))) for stage, run in groupby(hit.stage for hit in self.left)]
        scores = [float(f"{hit.score:.7g}") for hit in self.left]
        doc_ids = [hit.doc_id for hit in self.left]
        expires = int(time.time()) + keep_s
        return signer.write([FORM, expires, self.index, self.digest, view, self.before, doc_ids, scores, stages, rest])


def read_cursor(cursor: str, signer: Signer, *, index: str, digest: str, keep_s: int) -> FrozenOrder:
    """What a cursor carries. Raises CursorForged, CursorExpired, or CursorMismatch for one of another search."""
    content = signer.read(cursor)
    if content[0] != FORM:
        raise CursorForged
    _, expires, its_index, its_digest, view, before, doc_ids, scores, stages, rest = content
    if time.time() > expires:
        raise CursorExpired(keep_s)
    if its_index != index:
        raise CursorMismatch(f"it reads index {its_index!r}, and this is {index!r}")
    if its_digest != digest:
        raise CursorMismatch("the query, its filter, or another option of the search is not what it was")
    left = tuple(map(FrozenHit, doc_ids, scores, _repeated(stages)))
    return FrozenOrder(index, digest, view, before, left, _read_rest(rest))


def _repeated(stages: Sequence[tuple[str, int]]) -> Iterator[str]:
    return (stage for stage, count in stages for _ in range(count))


def _read_rest(found: Any) -> LexicalRest | None:
    if found is None:
        return None
    leg, score, ties, without = found
    return LexicalRest(leg, Mark(score, tuple(ties)), frozenset(without))
