"""Which pair a rater gets next: pure, and the same again for the same grades, so that a restart changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from connector.judging.grades import SETTLED, Grade
from connector.judging.page.defaults import WINDOW
from connector.judging.pairs import Pair, PairKey


@dataclass(frozen=True, slots=True)
class Sharing:
    """How pairs are shared out: the part of them that two people judge, and the seed of all shuffles."""

    overlap: float
    seed: int

    def raters_of(self, key: PairKey) -> int:
        """How many people are to judge a pair: it hangs on the pair and the seed alone."""
        return 2 if draw(self.seed, *key) < self.overlap else 1


@dataclass(frozen=True, slots=True)
class Said:
    """What people said so far: who graded each pair, and who has nothing more to say of it, since they skipped it."""

    graded: Mapping[PairKey, Collection[str]]
    answered: Mapping[PairKey, Collection[str]]


def read_said(grades: Iterable[Grade]) -> Said:
    """Of the standing grades those of people; what ended a disagreement is nobody's."""
    graded: dict[PairKey, set[str]] = defaultdict(set)
    answered: dict[PairKey, set[str]] = defaultdict(set)
    for grade in grades:
        if grade.kind == "person" and grade.by != SETTLED:
            answered[grade.query_id, grade.doc_id].add(grade.by)
            if grade.grade is not None:
                graded[grade.query_id, grade.doc_id].add(grade.by)
    return Said(graded, answered)


def choose_next(
    rater: str,
    ordered: Iterable[Pair],
    said: Said,
    wanted: Mapping[PairKey, int],
    *,
    seed: int,
    in_hand: Sequence[PairKey],
    query_id: str = "",
) -> Pair | None:
    """The pair that a rater is given, None where there is none left for them.

    It is one of the first in the order that fewer people have graded or have `in_hand` than are `wanted` for it. Among
    these the query that the rater is at comes first, then the rater's own shuffle decides: nobody can tell a rank by
    it."""
    held = Counter(in_hand)
    needed = (
        pair
        for pair in ordered
        if rater not in said.answered.get(pair.key, ())
        and len(said.graded.get(pair.key, ())) + held[pair.key] < wanted[pair.key]
    )
    return min(
        islice(needed, WINDOW),
        key=lambda pair: (
            pair.query_id != query_id,
            draw(seed, rater, pair.query_id),
            draw(seed, rater, *pair.key),
        ),
        default=None,
    )


def draw(*parts: object) -> float:
    """A number from 0 up to 1 that looks drawn by lot and hangs on the parts alone."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
