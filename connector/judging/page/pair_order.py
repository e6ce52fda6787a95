"""Which pairs of a pool may come next: as the pool was ordered, or as what was said so far decides.

In a pool by depth everything is to be judged, so a rater stays with a query to its end. Where the order decides, the
next pair hangs on each grade, and only the first few may come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.page.defaults import WINDOW
from connector.judging.pairs import PairKey
from connector.judging.pooling.next_pairs import NextPairs
from connector.judging.resolve import resolve


class PairOrder(Protocol):
    """What may come next."""

    def first(self, needed: Collection[PairKey], grades: Sequence[Grade]) -> Iterable[PairKey]:
        """Those of the pairs that a rater can be given which may come next, after the standing grades; none only where
        none is needed."""


@dataclass(frozen=True, slots=True)
class WholePool:
    """Any of the pool."""

    def first(self, needed: Collection[PairKey], grades: Sequence[Grade]) -> Iterable[PairKey]:
        """All that are needed."""
        return needed


class DecidingFirst:
    """Those that the pool's order names next, and those that wait for a second person."""

    def __init__(self, pairs: NextPairs, keys: Collection[PairKey]) -> None:
        """`pairs` may have heard of any grades."""
        self._pairs, self._keys = pairs, frozenset(keys)
        self._known_grades: dict[PairKey, int] = {}
        for key in self._keys:
            pairs.tell(*key, None)

    def first(self, needed: Collection[PairKey], grades: Sequence[Grade]) -> Iterable[PairKey]:
        """The next ones by what people said; a model's grades are there to be checked."""
        now = {
            (grade.query_id, grade.doc_id): grade.grade
            for grade in resolve(grades, kinds=("person", "imported")).grades
        }
        self._tell(now)
        second = [key for key in needed if key in now]
        return [*second, *self._pairs.next(WINDOW, without=self._keys - set(needed))]

    def _tell(self, grades: Mapping[PairKey, int]) -> None:
        for key in self._keys:
            if grades.get(key) != self._known_grades.get(key):
                self._pairs.tell(*key, grades.get(key))
        self._known_grades = {key: grades[key] for key in self._keys if key in grades}


def open_order(folder: JudgingFolder, keys: Collection[PairKey]) -> PairOrder:
    """As the folder's pool was made. Raises SettingsError for an order that is not known, SourceError."""
    if folder.pool_facts().order == "depth":
        return WholePool()
    return DecidingFirst(NextPairs.open(folder), keys)
