"""How far the judges of a folder can be trusted: each against the people, and people against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from connector.evaluation.statistics.measures import Run
from connector.judging.grades import SETTLED, Grade
from connector.judging.resolve import ResolvedGrade, resolve
from connector.judging.trust.agreement import GRADES, GradesByPair, JudgeAgreement, compare_judges
from connector.judging.trust.order import OrderAgreement, compare_orders

PEOPLE = "people"
# J. R. Landis, G. G. Koch, Biometrics 33, 1977: the least kappa that each word stands for
WORDS = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"), (0.0, "slight"))
NO_WORD = "none: worse than chance"
ENOUGH = 0.4  # moderate; below it a judge cannot stand in for a person
UNKNOWN = (
    "nobody knows how good the grades of {} are: no pair that it judged has a person's grade; give some with "
    "connector judge page"
)


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """Two judges, and how they order the pooled pipelines; `order` is None for fewer than two pipelines or queries."""

    agreement: JudgeAgreement
    order: OrderAgreement | None


@dataclass(frozen=True, slots=True)
class Trust:
    """Every comparison that the grades allow, the judges that no person's grade can be held against, and the pairs left
    out because their grades are on another scale than 0 to 3."""

    comparisons: tuple[JudgeComparison, ...]
    unmeasured: tuple[str, ...]
    other_scale: int = 0


def compare_all(grades: Sequence[Grade], runs: Mapping[str, Run], *, measured: str) -> Trust:
    """Each judge that is no person against the people, as their grades count together; and each two people."""
    given = [grade for grade in grades if grade.grade is not None]
    raters = {
        name: _by_pair(grade for grade in given if grade.by == name)
        for name in sorted({grade.by for grade in given if grade.kind == "person" and grade.by != SETTLED})
    }
    judges = {
        f"{by} ({kind})" if by in raters else by: _by_pair(
            grade for grade in given if (grade.by, grade.kind) == (by, kind)
        )
        for by, kind in sorted({(grade.by, grade.kind) for grade in given if grade.kind != "person"})
    }
    people = _by_pair(resolve(given, ("person",)).grades)
    pairs = [((PEOPLE, people), judge) for judge in judges.items()]
    pairs += [(first, second) for first, second in combinations(raters.items(), 2)]
    compared = tuple(_compare(first, second, runs, measured) for first, second in pairs)
    return Trust(
        tuple(comparison for comparison in compared if comparison),
        tuple(
            second[0] for (_, second), found in zip(pairs, compared, strict=True) if not found and second[0] in judges
        ),
        sum(grade.grade not in GRADES for grade in given),
    )


def describe(trust: Trust) -> dict[str, Any]:
    """As JSON."""
    return {
        "comparisons": [
            {
                "first": found.agreement.first,
                "second": found.agreement.second,
                "pairs": found.agreement.pairs,
                "queries": found.agreement.queries,
                "kappa": found.agreement.kappa,
                "kappa_interval": found.agreement.interval,
                "same": found.agreement.same,
                "within_one": found.agreement.within_one,
                "lean": found.agreement.lean,
                "table": found.agreement.table.astype(int).tolist(),
                "order": asdict(found.order) if found.order else None,
                "verdict": verdict(found),
            }
            for found in trust.comparisons
        ],
        "unmeasured": [*trust.unmeasured],
        "other_scale": trust.other_scale,
    }


def verdict(found: JudgeComparison) -> str:
    """What the figures say of the second judge, in a sentence."""
    agreement = found.agreement
    text = f"{agreement.second} against {agreement.first} on {agreement.pairs} pairs of {agreement.queries} queries: "
    if agreement.kappa is None:
        return f"{text}kappa says nothing, since all grades are the same; judge more pairs"
    text += f"kappa {agreement.kappa:.2f}{_between(agreement.interval)}, {word(agreement.kappa)} agreement"
    if agreement.kappa < ENOUGH:
        text += f"; the grades of {agreement.second} cannot stand in for those of {agreement.first}"
    elif agreement.interval and agreement.interval[0] < ENOUGH:
        text += f"; too few pairs to be sure that it is {ENOUGH} at least: judge more of them"
    order = found.order
    if order is None or order.tau is None:
        return text
    return (
        f"{text}; they order the pipelines by {order.measure} with tau {order.tau:.2f}{_between(order.interval)}, and "
        f"agree on the best one in {order.same_best:.0%} of samples"
    )


def word(kappa: float) -> str:
    """What the literature calls it."""
    return next((name for least, name in WORDS if kappa >= least), NO_WORD)


def unknown(names: Iterable[str]) -> list[str]:
    """A sentence for each judge that is not measured."""
    return [UNKNOWN.format(name) for name in names]


def _by_pair(grades: Iterable[Grade | ResolvedGrade]) -> GradesByPair:
    return {(grade.query_id, grade.doc_id): grade.grade for grade in grades if grade.grade is not None}


def _compare(
    first: tuple[str, GradesByPair], second: tuple[str, GradesByPair], runs: Mapping[str, Run], measured: str
) -> JudgeComparison | None:
    """None where they share no pair."""
    kept = [
        (name, {pair: grade for pair, grade in grades.items() if grade in GRADES}) for name, grades in (first, second)
    ]
    if not any(pair in kept[1][1] for pair in kept[0][1]):
        return None
    order = compare_orders(runs, kept[0][1], kept[1][1], measured=measured)
    return JudgeComparison(compare_judges(*kept), order)


def _between(interval: tuple[float, float] | None) -> str:
    return f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
