"""How far a judging folder is: what is judged, by whom and how fast, and what so many queries can show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

import numpy as np

from connector.errors import SettingsError
from connector.evaluation.files.judgments import Qrels
from connector.evaluation.statistics.measures import Run, measure
from connector.evaluation.statistics.power import ALPHA, queries_needed, smallest_difference
from connector.evaluation.statistics.significance import differences
from connector.judging.defaults import DIFFERENCE
from connector.judging.folder import JudgingFolder
from connector.judging.grades import SETTLED, Grade
from connector.judging.pairs import Pair
from connector.judging.resolve import resolve

LONGEST_PAUSE_S = 300  # between two grades of somebody who is judging


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A pooled pipeline: which share of its first k documents is judged, and which by people."""

    name: str
    judged_share: float
    by_people: float
    unjudged: int


@dataclass(frozen=True, slots=True)
class JudgeWork:
    """What somebody graded and skipped, how often each grade; of a person the `seconds` from one grade to the next, at
    the median."""

    by: str
    kind: str
    graded: int
    skipped: int
    grades: Mapping[int, int]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunPower:
    """A pipeline against the baseline on the judged queries: the difference, how far it varies from query to query, the
    smallest one that so many queries show, and how many queries the wished one needs. None where it is not known."""

    name: str
    queries: int
    difference: float
    deviation: float
    smallest: float | None
    needed: int


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """`wished` is the difference that is to be shown by the measure, against the baseline."""

    folder: str
    measure: str
    k: int
    queries: int
    judged_queries: int
    pairs: int
    judged_pairs: int
    runs: tuple[JudgedRun, ...]
    work: tuple[JudgeWork, ...]
    open_disagreements: int
    pairs_of_both: int  # that a person and a model judged
    baseline: str | None
    wished: float
    powers: tuple[RunPower, ...]
    grades_per_query: float

    @property
    def missing_pairs(self) -> int:
        return self.pairs - self.judged_pairs

    @property
    def more_queries(self) -> int:
        """That the wished difference needs, for the pipeline that varies most."""
        return max((max(power.needed - power.queries, 0) for power in self.powers), default=0)

    @property
    def more_grades(self) -> int:
        """That they need at the present rate."""
        return round(self.more_queries * self.grades_per_query)

    @property
    def seconds_per_grade(self) -> float | None:
        """Of people, at the median."""
        known = [work.seconds for work in self.work if work.kind == "person" and work.seconds is not None]
        return median(known) if known else None

    def graded_by(self, kind: str) -> int:
        return sum(work.graded for work in self.work if work.kind == kind)


def read_status(
    folder: JudgingFolder, *, measured: str, k: int, baseline: str | None = None, wished: float = DIFFERENCE
) -> FolderStatus:
    """The state of the folder. Raises SettingsError for a baseline that was not pooled, SourceError."""
    pairs = folder.pairs() if folder.pool_file.is_file() else ()
    runs, grades = folder.runs(), folder.grades().read()
    if baseline is not None and baseline not in runs:
        raise SettingsError(f"no run {baseline!r} in {folder.path}; there are {', '.join(runs) or 'none yet'}")
    resolved, people = resolve(grades), resolve(grades, ("person",)).qrels
    qrels = resolved.qrels
    against = baseline or next(iter(runs), None)
    known = {query.query_id for query in folder.queries()}
    return FolderStatus(
        folder=str(folder.path),
        measure=measured,
        k=k,
        queries=len(known),
        judged_queries=len(known & qrels.keys()),
        pairs=len(pairs),
        judged_pairs=sum(_is_in(pair, qrels) for pair in pairs),
        runs=tuple(_judged_run(name, run, qrels, people, k) for name, run in runs.items()),
        work=tuple(_work(grades)),
        open_disagreements=len(resolved.open),
        pairs_of_both=_pairs_of_both(people, resolve(grades, ("model",)).qrels),
        baseline=against,
        wished=wished,
        powers=tuple(_powers(runs, against, qrels, measured, wished)) if against else (),
        grades_per_query=sum(map(len, qrels.values())) / len(qrels) if qrels else 0.0,
    )


def _is_in(pair: Pair, qrels: Qrels) -> bool:
    return pair.doc_id in qrels.get(pair.query_id, ())


def _judged_run(name: str, run: Run, qrels: Qrels, people: Qrels, k: int) -> JudgedRun:
    """Over all queries of the run, also those without any judgment."""
    first = [(query_id, hit.doc_id) for query_id, ranking in run.items() for hit in ranking[:k]]
    judged, by_people = (
        sum(doc_id in known.get(query_id, ()) for query_id, doc_id in first) for known in (qrels, people)
    )
    count = max(len(first), 1)
    return JudgedRun(name, judged / count, by_people / count, len(first) - judged)


def _pairs_of_both(people: Qrels, models: Qrels) -> int:
    return sum(len(people[query_id].keys() & models[query_id].keys()) for query_id in people.keys() & models.keys())


def _work(grades: Sequence[Grade]) -> list[JudgeWork]:
    """Of each judge; what settled a disagreement is nobody's."""
    by_judge: dict[tuple[str, str], list[Grade]] = defaultdict(list)
    for grade in grades:
        if grade.by != SETTLED:
            by_judge[grade.kind, grade.by].append(grade)
    found = []
    for (kind, by), given in sorted(by_judge.items()):
        values = [grade.grade for grade in given if grade.grade is not None]
        counts = {value: values.count(value) for value in sorted(set(values))}
        found.append(
            JudgeWork(
                by, kind, len(values), len(given) - len(values), counts, _pace(given) if kind == "person" else None
            )
        )
    return found


def _pace(grades: Sequence[Grade]) -> float | None:
    """Seconds from grade to grade, at the median; longer pauses are no judging."""
    times = sorted(datetime.fromisoformat(grade.at) for grade in grades)
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    judging = [gap for gap in gaps if gap <= LONGEST_PAUSE_S]
    return median(judging) if judging else None


def _powers(runs: Mapping[str, Run], baseline: str, qrels: Qrels, measured: str, wished: float) -> list[RunPower]:
    """Every other run against the baseline. Where there are several, alpha is shared out among them, as Holm's
    correction does it for the first."""
    if len(qrels) < 2 or len(runs) < 2:
        return []
    values = {name: next(iter(measure(run, qrels, [measured]).values())) for name, run in runs.items()}
    alpha = ALPHA / (len(runs) - 1)
    found = []
    for name in runs:
        if name != baseline:
            gains = differences(values[name], values[baseline])
            deviation = float(np.std(gains, ddof=1))
            found.append(
                RunPower(
                    name,
                    len(gains),
                    float(gains.mean()),
                    deviation,
                    smallest_difference(deviation, len(gains), alpha=alpha),
                    queries_needed(deviation, wished, alpha=alpha),
                )
            )
    return found
