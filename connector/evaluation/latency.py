"""Milliseconds of many searches -> percentiles, of a stage and of the way to a stage's ranking."""

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


def answer_ms(stage: str, took_ms: Mapping[str, float], *, last: bool) -> float:
    """How long an answer takes that ends with this stage's ranking and its hits' fields.

    Of the `last` stage of a search this was measured. Before that it is the longest way there: the legs run side by
    side, the encoder before the dense one."""
    if last:
        return took_ms.get("total", 0.0)
    lexical = took_ms.get("lexical", 0.0)
    dense = took_ms.get("encode", 0.0) + took_ms.get("dense", 0.0)
    way = {"lexical": lexical, "dense": dense, "fused": max(lexical, dense) + took_ms.get("fuse", 0.0)}
    return way[stage] + took_ms.get("fields", 0.0)
