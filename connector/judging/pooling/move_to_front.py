"""Move-to-front pooling. Cormack, Palmer, Clarke, "Efficient construction of large test collections", SIGIR 1998.

Every run has a list of documents for each query. The list in front is judged down to a document that is not relevant;
then it moves behind the others. So a list that goes on finding relevant documents is read deeply, and queries and runs
that find none cost little. It is their global form: all lists of all queries wait in one queue."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from connector.evaluation.statistics.measures import Run
from connector.judging.pairs import PairKey
from connector.judging.pooling.depth import lot

Waiting = tuple[int, int, int]  # misses of a list, its place by lot, the position up to which it was read


@dataclass(slots=True)
class _Queue:
    """The lists that wait, and the pairs that were read from them."""

    waiting: list[Waiting]
    read: set[PairKey] = field(default_factory=set)

    def copy(self) -> _Queue:
        return _Queue(list(self.waiting), set(self.read))


class MoveToFront:
    """The state of the queue depends on the grades alone, since it is replayed where one is taken back."""

    def __init__(self, keys: Sequence[PairKey], runs: Mapping[str, Run], *, depth: int, seed: int) -> None:
        pool = set(keys)
        lists = [
            (lot(seed, query_id, name), [key for hit in ranking[:depth] if (key := (query_id, hit.doc_id)) in pool])
            for name, run in runs.items()
            for query_id, ranking in run.items()
        ]
        self._lists = [found for _, found in sorted(lists) if found]
        listed = {key for found in self._lists for key in found}
        self._lists += [[key] for key in keys if key not in listed]
        self._grades: dict[PairKey, int] = {}
        self._queue = self._begin()

    def tell(self, key: PairKey, grade: int | None) -> None:
        if key in self._queue.read and self._grades.get(key) != grade:
            self._queue = self._begin()
        if grade is None:
            self._grades.pop(key, None)
        else:
            self._grades[key] = grade

    def next(self, count: int, without: Collection[PairKey]) -> list[PairKey]:
        while (key := self._front(self._queue)) is not None and key in self._grades:
            self._read(self._queue, key, is_relevant=self._grades[key] > 0)
        ahead = self._queue if count == 1 and key not in without else self._queue.copy()
        found: list[PairKey] = []
        while len(found) < count and (key := self._front(ahead)) is not None:
            if key not in self._grades and key not in without:
                found.append(key)
                if len(found) == count:
                    break
            self._read(ahead, key, is_relevant=self._grades.get(key, 0) > 0)
        return found

    def _begin(self) -> _Queue:
        return _Queue([(0, place, 0) for place in range(len(self._lists))])  # in order, so a heap

    def _front(self, queue: _Queue) -> PairKey | None:
        """The next pair of the list in front that was not read from another one; None at the end of all."""
        while queue.waiting:
            misses, place, position = queue.waiting[0]
            found = self._lists[place]
            while position < len(found) and found[position] in queue.read:
                position += 1
            if position < len(found):
                heapq.heapreplace(queue.waiting, (misses, place, position))
                return found[position]
            heapq.heappop(queue.waiting)
        return None

    def _read(self, queue: _Queue, key: PairKey, *, is_relevant: bool) -> None:
        """Take the pair off the list in front, which moves back where it is not relevant."""
        misses, place, position = queue.waiting[0]
        queue.read.add(key)
        heapq.heapreplace(queue.waiting, (misses + (not is_relevant), place, position + 1))
