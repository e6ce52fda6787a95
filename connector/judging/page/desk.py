"""What happens behind the page: pairs are handed out, grades kept, taken back and settled.

All is in the folder: what a desk knows beside it, which pair is in whose hand, is given out anew after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from connector.errors import SettingsError
from connector.judging.folder import JudgingFolder
from connector.judging.grades import GRADES, SETTLED, Grade
from connector.judging.page.assignment import GradesSoFar, Sharing, choose_next, find_needed, read_grades_so_far
from connector.judging.page.defaults import HOLD_S
from connector.judging.page.pair_order import PairOrder, open_order
from connector.judging.page.rater import count_raters
from connector.judging.pairs import Pair, PairKey
from connector.judging.resolve import Disagreement, Resolved, resolve, write_judgments


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all are: pairs that have every grade that they need, and of this rater what was graded and skipped.

    Of the rest, `second` have one grade and wait for another rater's, `elsewhere` are in the hand of others."""

    pairs: int
    finished: int
    graded: int
    skipped: int
    second: int
    elsewhere: int
    open_disagreements: int


@dataclass(frozen=True, slots=True)
class PairInHand:
    """A pair in a rater's hand; the note that they wrote before they took their grade back."""

    pair: Pair
    query: str
    note: str


class Desk:
    """For any number of raters at once. Every grade is on disk when the call returns."""

    def __init__(
        self,
        folder: JudgingFolder,
        sharing: Sharing,
        order: PairOrder | None = None,
        *,
        hold_s: float = HOLD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises SettingsError where there is no pool, SourceError for what cannot be read."""
        self.folder = folder
        self.pairs = {pair.key: pair for pair in folder.pairs()}
        self.log = folder.grades()
        self._queries = {query.query_id: query.text for query in folder.queries()}
        self._order = order or open_order(folder, self.pairs)
        self._wanted = {key: sharing.raters_of(key) for key in self.pairs}
        self._seed, self._hold_s, self._clock = sharing.seed, hold_s, clock
        self._so_far: tuple[tuple[Grade, ...], GradesSoFar] = (
            (),
            read_grades_so_far(()),
        )  # read of which
        self._hands: dict[str, tuple[PairKey, float]] = {}  # rater -> pair, until when
        self._lock = threading.Lock()
        if unknown := sorted({pair.query_id for pair in self.pairs.values()} - set(self._queries)):
            raise SettingsError(
                f"{folder.pool_file} has pairs of {len(unknown)} queries that {folder.queries_file.name} lacks, such "
                f"as {unknown[0]!r}; make the pool anew: connector judge pool {folder.path}"
            )

    def hand_out(self, rater: str) -> PairInHand | None:
        """The pair that is in the rater's hand already, or else the next one; None where none is left for them."""
        with self._lock:
            grades = self.log.read()
            so_far = self._read_grades_so_far(grades)
            key = self._held_by(rater)
            if key is None or rater in so_far.answered.get(key, ()):
                needed = find_needed(rater, so_far, self._wanted, self._held_by_others(rater, so_far))
                first = self._order.first(needed, grades)
                key = choose_next(rater, first, seed=self._seed, query_id=self._last_query(rater))
                if key is None:
                    self._hands.pop(rater, None)
                    return None
            self._hold(rater, key)
            pair = self.pairs[key]
            return PairInHand(pair, self._queries[pair.query_id], self._note_taken_back(rater, key))

    def grade(self, rater: str, key: PairKey, grade: int | None, note: str = "") -> None:
        """Keep a grade, or a skip. What stands already, as after a page was sent twice, is not kept again.

        Raises SettingsError for a pair that is not in the pool or a grade that is none, DiskError."""
        self._check(key, grade)
        with self._lock:
            if (before := self._standing(rater, key)) is None or (before.grade, before.note) != (grade, note):
                self.log.append(Grade(*key, grade, rater, note=note))
            self._let_go(rater, key)

    def undo(self, rater: str) -> Grade | None:
        """Take back the last of the rater's grades that stand, and give them its pair again; None where none is
        left."""
        with self._lock:
            last = self._last(rater)
            if last is not None:
                self.log.undo(last.query_id, last.doc_id, rater)
                self._hold(rater, (last.query_id, last.doc_id))
            return last

    def look_again(self, rater: str) -> int:
        """Forget what the rater skipped, so that it is given out again; how many pairs that are."""
        with self._lock:
            skipped = [grade for grade in self._of_pool(rater) if grade.grade is None]
            self.log.extend(Grade(grade.query_id, grade.doc_id, None, rater, undoes=True) for grade in skipped)
            return len(skipped)

    def last(self, rater: str) -> Grade | None:
        """What the rater said last, that an undo would take back."""
        with self._lock:
            return self._last(rater)

    def progress(self, rater: str) -> Progress:
        """How far all are, and this rater."""
        with self._lock:
            grades = self.log.read()
            so_far = self._read_grades_so_far(grades)
            mine = self._of_pool(rater)
            given = {key: len(so_far.graded.get(key, ())) for key in self.pairs}
            unfinished = [key for key, count in given.items() if count < self._wanted[key]]
            return Progress(
                pairs=len(self.pairs),
                finished=len(self.pairs) - len(unfinished),
                graded=sum(grade.grade is not None for grade in mine),
                skipped=sum(grade.grade is None for grade in mine),
                second=sum(given[key] > 0 for key in unfinished),
                elsewhere=len(set(self._held_by_others(rater, so_far)) & set(unfinished)),
                open_disagreements=len(resolve(grades).open),
            )

    def raters(self) -> dict[str, int]:
        """Everybody who judged so far, with how many grades of theirs stand."""
        return count_raters(self.log.read())

    def query(self, query_id: str) -> str:
        """The text of a query; its id where the folder has lost it."""
        return self._queries.get(query_id, query_id)

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Those of people about pairs of this pool, the open ones first, of these the widest."""
        found = resolve(self.log.read()).disagreements
        ours = [disagreement for disagreement in found if (disagreement.query_id, disagreement.doc_id) in self.pairs]
        return tuple(sorted(ours, key=lambda disagreement: disagreement.settled is not None))

    def settle(self, rater: str, key: PairKey, grade: int | None, note: str = "") -> None:
        """End a disagreement by a grade, or open it again by None. Raises SettingsError, DiskError."""
        self._check(key, grade)
        with self._lock:
            before = self._standing(SETTLED, key)
            if grade is None and before is not None:
                self.log.undo(*key, SETTLED)
            elif grade is not None and (before is None or (before.grade, before.note) != (grade, note)):
                self.log.append(Grade(*key, grade, SETTLED, note=note, about={"settled_by": rater}))

    def write_qrels(self) -> Resolved:
        """The judgments of all grades so far, where `connector eval` reads them. Raises DiskError."""
        return write_judgments(self.folder, self.log)

    def _check(self, key: PairKey, grade: int | None) -> None:
        if key not in self.pairs:
            raise SettingsError("this pair is not in the pool, which was perhaps made anew; go on with the next one")
        if grade is not None and grade not in GRADES:
            raise SettingsError(f"{grade} is no grade; give 0, 1, 2 or 3")

    def _of(self, rater: str) -> list[Grade]:
        """The grades and skips of the rater that stand, in the order in which they were said."""
        return [grade for grade in self.log.read() if grade.by == rater and grade.kind == "person"]

    def _read_grades_so_far(self, grades: tuple[Grade, ...]) -> GradesSoFar:
        if self._so_far[0] is not grades:
            self._so_far = grades, read_grades_so_far(grades)
        return self._so_far[1]

    def _of_pool(self, rater: str) -> list[Grade]:
        return [grade for grade in self._of(rater) if (grade.query_id, grade.doc_id) in self.pairs]

    def _standing(self, rater: str, key: PairKey) -> Grade | None:
        return next((grade for grade in self._of(rater) if (grade.query_id, grade.doc_id) == key), None)

    def _last(self, rater: str) -> Grade | None:
        return next(reversed(self._of_pool(rater)), None)

    def _last_query(self, rater: str) -> str:
        last = self._last(rater)
        return last.query_id if last else ""

    def _note_taken_back(self, rater: str, key: PairKey) -> str:
        lines = [line for line in self.log.history() if line.key == (*key, rater)]
        return lines[-2].note if len(lines) > 1 and lines[-1].undoes else ""

    def _hold(self, rater: str, key: PairKey) -> None:
        self._hands[rater] = (key, self._clock() + self._hold_s)

    def _let_go(self, rater: str, key: PairKey) -> None:
        if self._held_by(rater) == key:
            del self._hands[rater]

    def _held_by(self, rater: str) -> PairKey | None:
        """What was given to the rater, for as long as nobody else can have got it."""
        key, until = self._hands.get(rater, (None, 0.0))
        return key if self._clock() < until else None

    def _held_by_others(self, rater: str, so_far: GradesSoFar) -> list[PairKey]:
        """The pairs that others are at."""
        others = {other: self._held_by(other) for other in self._hands if other != rater}
        return [key for other, key in others.items() if key and other not in so_far.answered.get(key, ())]
