"""Recall curves, their knee, and the frontier of quality against time."""

from __future__ import annotations

import math

import pytest
from support.evaluation.evaluations import ranked

from connector.evaluation.statistics.curves import frontier, knee, recall_curve, recall_cutoffs

QRELS = {"a": {"x": 1, "y": 2, "z": 0}, "b": {"w": 1}}


def test_recall_rises_with_the_cutoff_over_all_judged_queries() -> None:
    run = {"a": ranked("z", "x", "-", "y")}  # b is not answered

    assert recall_curve(run, QRELS, [1, 2, 3, 4]) == pytest.approx([0.0, 0.25, 0.25, 0.5])


def test_the_knee_of_a_saturating_curve_is_where_its_slope_is_the_chords() -> None:
    rate, end = 12.0, 100
    curve = [(float(at), 1 - math.exp(-at / rate)) for at in range(end + 1)]
    slope = curve[-1][1] / end
    turning = -rate * math.log(rate * slope)  # where the derivative equals the slope of the chord

    found = knee(curve)

    assert found is not None
    assert found[0] == pytest.approx(turning, abs=1)


def test_the_knee_of_a_corner_is_the_corner() -> None:
    assert knee([(1, 0.1), (2, 0.5), (3, 0.9), (50, 0.95), (100, 1.0)]) == (3, 0.9)


@pytest.mark.parametrize(
    "curve",
    [
        [],
        [(1, 0.5), (2, 0.6)],
        [(1, 0.5), (2, 0.5), (3, 0.5)],
        [(1, 0.0), (2, 0.5), (3, 1.0)],
        [(1, 0.0), (2, 0.1), (3, 1.0)],
    ],
    ids=["empty", "short", "flat", "straight", "hollow"],
)
def test_what_does_not_flatten_has_no_knee(curve: list[tuple[float, float]]) -> None:
    assert knee(curve) is None


@pytest.mark.parametrize("depth", [1, 50, 100, 150, 251, 1_000, 10_000])
def test_cutoffs_rise_to_the_depth_and_stay_few(depth: int) -> None:
    cutoffs = recall_cutoffs(depth)

    assert list(cutoffs) == sorted(set(cutoffs))
    assert (cutoffs[0], cutoffs[-1]) == (1, depth)
    assert len(cutoffs) <= 200


def test_the_frontier_leaves_out_what_another_beats_in_both() -> None:
    points = {
        "slow": (50.0, 0.8),
        "fast": (5.0, 0.5),
        "beaten": (20.0, 0.4),
        "middle": (20.0, 0.6),
        "late": (60.0, 0.8),
    }

    assert frontier(points) == ["fast", "middle", "slow"]
    assert frontier({}) == []
