"""Which pair is to be judged next: by depth, or by what the grades so far have shown.

`NextPairs` is told each grade, and then names the next pairs, within milliseconds. The same grades lead to the same
pairs, in whatever order they were told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, Protocol, get_args

from connector.errors import SettingsError
from connector.evaluation.statistics.measures import Run
from connector.judging.folder import JudgingFolder
from connector.judging.grades import GRADES
from connector.judging.pairs import PairKey
from connector.judging.pooling.decide import Decide, ExpectedDifference
from connector.judging.pooling.depth import ByDepth
from connector.judging.pooling.move_to_front import MoveToFront
from connector.judging.resolve import resolve

JudgingOrder = Literal["depth", "move-to-front", "decide"]
ORDERS: tuple[JudgingOrder, ...] = get_args(JudgingOrder)


class PairChooser(Protocol):
    """A way of choosing: it hears of grades, and gives ungraded pairs, the one to judge first in front."""

    def tell(self, key: PairKey, grade: int | None) -> None:
        """The grade of a pair, in place of any before; None takes it back."""
        ...

    def next(self, count: int, without: Collection[PairKey]) -> list[PairKey]: ...


class NextPairs:
    """The pairs of a pool, in the order in which their grades are wanted."""

    def __init__(
        self,
        keys: Sequence[PairKey],
        runs: Mapping[str, Run],
        order: JudgingOrder,
        *,
        depth: int,
        seed: int,
        highest: int = max(GRADES),
    ) -> None:
        """`depth` is how many documents of each run were pooled, `seed` breaks ties, `highest` is the best grade."""
        self._keys = frozenset(keys)
        self._ordered = sorted(self._keys)
        self._runs, self._depth, self._highest = runs, depth, highest
        self._grades: dict[PairKey, int] = {}
        self._chooser: PairChooser = _choose(order, self._ordered, runs, depth=depth, seed=seed, highest=highest)

    @classmethod
    def open(cls, folder: JudgingFolder) -> NextPairs:
        """Those of a folder's pool, which has heard of the grades that the folder has. Raises SettingsError where there
        is no pool, SourceError."""
        pairs = cls.of_pool(folder, [pair.key for pair in folder.pairs()])
        for resolved in resolve(folder.grades().read()).grades:
            pairs.tell(resolved.query_id, resolved.doc_id, resolved.grade)
        return pairs

    @classmethod
    def of_pool(cls, folder: JudgingFolder, keys: Iterable[PairKey]) -> NextPairs:
        """These pairs of a folder's pool, in its order, none of them graded. Raises SettingsError, SourceError."""
        facts = folder.pool_facts()
        order = next((known for known in ORDERS if known == facts.order), None)
        if order is None:
            raise SettingsError(
                f"the pool in {folder.path} has the order {facts.order!r}; known are {', '.join(ORDERS)}"
            )
        return cls([*keys], folder.runs(), order, depth=facts.depth, seed=facts.seed)

    def expect(self) -> tuple[ExpectedDifference, ...]:
        """What is to be expected of each two pipelines when the whole pool is graded, by the grades so far; nothing
        where there are none. What has no grade counts by how probable it is to be relevant."""
        if not self._grades:
            return ()
        decide = Decide(self._ordered, self._runs, depth=self._depth, seed=0, highest=self._highest)
        for key, grade in self._grades.items():
            decide.tell(key, grade)
        return decide.differences()

    @property
    def left(self) -> int:
        """How many pairs have no grade."""
        return len(self._keys) - len(self._grades)

    def tell(self, query_id: str, doc_id: str, grade: int | None) -> None:
        """The grade of a pair, in place of any before; None takes it back. A pair that is not in the pool makes no
        difference."""
        key = (query_id, doc_id)
        if key not in self._keys:
            return
        if grade is None:
            self._grades.pop(key, None)
        else:
            self._grades[key] = grade
        self._chooser.tell(key, grade)

    def next(self, count: int = 1, *, without: Collection[PairKey] = frozenset()) -> tuple[PairKey, ...]:
        """Up to `count` pairs that have no grade and are not in `without`: what was skipped, or is with somebody else.

        The second and later ones are those that would come if the ones before them were found not relevant."""
        return tuple(self._chooser.next(count, without))


def _choose(
    order: JudgingOrder, keys: Sequence[PairKey], runs: Mapping[str, Run], *, depth: int, seed: int, highest: int
) -> PairChooser:
    match order:
        case "depth":
            return ByDepth(keys, runs, depth=depth, seed=seed)
        case "move-to-front":
            return MoveToFront(keys, runs, depth=depth, seed=seed)
        case "decide":
            return Decide(keys, runs, depth=depth, seed=seed, highest=highest)
