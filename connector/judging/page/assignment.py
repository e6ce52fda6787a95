"""Which pair a rater gets next: pure, and the same again for the same grades, so that a restart changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from connector.judging.grades import SETTLED, Grade
from connector.judging.pairs import PairKey


@dataclass(frozen=True, slots=True)
class Sharing:
    """How pairs are shared out: the part of them that two people judge, and the seed of all shuffles."""

    overlap: float
    seed: int

    def raters_of(self, key: PairKey) -> int:
        """How many people are to judge a pair: it hangs on the pair and the seed alone."""
        return 2 if draw(self.seed, *key) < self.overlap else 1


@dataclass(frozen=True, slots=True)
class GradesSoFar:
    """What people said so far: who graded each pair, and who has nothing more to say of it, since they skipped it."""

    graded: Mapping[PairKey, Collection[str]]
    answered: Mapping[PairKey, Collection[str]]


def read_grades_so_far(grades: Iterable[Grade]) -> GradesSoFar:
    """Of the standing grades those of people, here or where they were imported from. What ended a disagreement is
    nobody's, and a model's grade spares nobody one."""
    graded: dict[PairKey, set[str]] = defaultdict(set)
    answered: dict[PairKey, set[str]] = defaultdict(set)
    for grade in grades:
        if grade.kind in ("person", "imported") and grade.by != SETTLED:
            answered[grade.query_id, grade.doc_id].add(grade.by)
            if grade.grade is not None:
                graded[grade.query_id, grade.doc_id].add(grade.by)
    return GradesSoFar(graded, answered)


def find_needed(
    rater: str, so_far: GradesSoFar, wanted: Mapping[PairKey, int], in_hand: Iterable[PairKey]
) -> frozenset[PairKey]:
    """The pairs that a rater can be given: they have not answered them, and fewer people have graded or have `in_hand`
    than are `wanted` for them."""
    held = Counter(in_hand)
    return frozenset(
        key
        for key, count in wanted.items()
        if rater not in so_far.answered.get(key, ()) and len(so_far.graded.get(key, ())) + held[key] < count
    )


def choose_next(rater: str, pairs: Iterable[PairKey], *, seed: int, query_id: str) -> PairKey | None:
    """Of pairs that may come next the one for this rater: the query that they are at comes first, then each rater's own
    shuffle decides, so that nobody can tell a rank by it. None of none."""
    by_query: dict[str, list[PairKey]] = defaultdict(list)
    for key in pairs:
        by_query[key[0]].append(key)
    if not by_query:
        return None
    at = query_id if query_id in by_query else min(by_query, key=lambda candidate: draw(seed, rater, candidate))
    return min(by_query[at], key=lambda key: draw(seed, rater, *key))


def draw(*parts: object) -> float:
    """A number from 0 up to 1 that looks drawn by lot and hangs on the parts alone."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
