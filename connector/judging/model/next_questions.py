"""Questions in the order in which the pool wants their grades: by depth as they stand, else as the grades so far
decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connector.judging.folder import JudgingFolder
from connector.judging.model.grading import Question
from connector.judging.pairs import Pair, PairKey
from connector.judging.pooling.next_pairs import NextPairs


class NextQuestions:
    """Hands each question out once, up to `at_most` (0: all). `candidates` are those that may be; `given` those
    that were.

    What people said of a pair makes no difference: the model is asked for it as well, to be held against them."""

    def __init__(self, folder: JudgingFolder, questions: Sequence[Question], *, at_most: int = 0) -> None:
        """Raises SettingsError for an order that is not known, SourceError."""
        self.decides = folder.pool_facts().order != "depth"
        self.count = min(at_most or len(questions), len(questions))
        self.given: list[Question] = []
        self._keys_given: set[PairKey] = set()
        self.candidates = tuple(questions if self.decides else questions[: self.count])
        self._waiting = {question.pair.key: question for question in self.candidates}
        self._pairs = NextPairs.of_pool(folder, self._waiting) if self.decides else None

    def __iter__(self) -> Iterator[Question]:
        return self

    def __next__(self) -> Question:
        if len(self.given) == self.count:
            raise StopIteration
        key = next(iter(self._pairs.next(1, without=self._keys_given) if self._pairs else self._waiting))
        self.given.append(self._waiting.pop(key))
        self._keys_given.add(key)
        return self.given[-1]

    def tell(self, pair: Pair, grade: int) -> None:
        """What the model said of a pair that was handed out."""
        if self._pairs:
            self._pairs.tell(*pair.key, grade)
