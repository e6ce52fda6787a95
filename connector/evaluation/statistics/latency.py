"""Milliseconds of many searches -> percentiles, of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds below which that many of a hundred searches stay."""

    p50: float
    p95: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles:
    """All 0 where there are no values."""
    return Percentiles(*(percentile(values, share) if values else 0.0 for share in (0.50, 0.95, 0.99)))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def stage_times(took_ms: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Stage -> milliseconds, of the searches that came to that stage."""
    times: dict[str, list[float]] = {}
    for stages in took_ms:
        for stage, took in stages.items():
            times.setdefault(stage, []).append(took)
    return times
