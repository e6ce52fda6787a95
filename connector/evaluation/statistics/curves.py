"""Recall by cutoff with its knee, and the pipelines that no other one beats in both quality and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.evaluation.files.judgments import Qrels
from connector.evaluation.files.weights import MeanWeights
from connector.evaluation.statistics.measures import Run, mean, measure

STEPS = 100  # cutoffs of a curve, about

Point = tuple[float, float]


def recall_cutoffs(depth: int) -> tuple[int, ...]:
    """Every cutoff to 100, then every hundredth of the depth, and the depth itself."""
    step = max(depth // STEPS, 1)
    return tuple(dict.fromkeys((*range(1, min(depth, STEPS) + 1), *range(STEPS + step, depth + 1, step), depth)))


def recall_curve(
    run: Run, qrels: Qrels, cutoffs: Sequence[int], weights: MeanWeights | None = None
) -> tuple[float, ...]:
    """The mean recall at each cutoff [n], each query by its weight."""
    values = measure(run, qrels, [f"R@{cutoff}" for cutoff in cutoffs])
    return tuple(mean(values[f"R@{cutoff}"], weights) for cutoff in cutoffs)


def knee(curve: Sequence[Point]) -> Point | None:
    """Where a rising, flattening curve turns: the point farthest above the line from its first to its last point.

    None where nothing lies above that line. The difference curve of Kneedle: Satopaa, Albrecht, Irwin, Raghavan, ICDCS
    workshops 2011."""
    if len(curve) < 3:
        return None
    (left, low), (right, high) = curve[0], curve[-1]
    if right <= left or high <= low:
        return None

    def height(point: Point) -> float:
        return (point[1] - low) / (high - low) - (point[0] - left) / (right - left)

    best = max(curve, key=height)
    return best if height(best) > 1e-9 else None


def frontier(points: Mapping[str, Point]) -> list[str]:
    """The names of the (milliseconds, quality) that no other is as fast and as good as, and better in one; the fastest
    first."""
    ordered = sorted(points, key=lambda name: (points[name][0], -points[name][1], name))
    kept: list[str] = []
    for name in ordered:
        if not kept or points[name][1] > points[kept[-1]][1]:
            kept.append(name)
    return kept
