"""The figures of an evaluation -> one sentence: which pipeline is best, whether that may be chance, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHANCE = 0.05  # a p above it may be chance


def build_verdict(figures: Mapping[str, Any]) -> str:
    """The sentence that a reader would look for, by the first measure."""
    measured, pipelines, baseline = figures["measures"][0], figures["pipelines"], figures["baseline"]
    means = {name: pipeline["measures"][measured] for name, pipeline in pipelines.items()}
    best = max(means, key=lambda name: (means[name], name == baseline))
    time = f"{pipelines[best]['latency_ms']['p50']:.0f} ms"
    if len(means) == 1:
        return f"{best} has {measured} {means[best]:.3f}, in {time} at the median{_trouble(pipelines[best])}."
    if best == baseline:
        nearest = max((name for name in means if name != baseline), key=lambda name: means[name])
        compared = figures["comparisons"][measured][nearest]
        return (
            f"No pipeline beats {baseline} by {measured} ({means[baseline]:.3f}, in {time} at the median); the "
            f"nearest is {nearest} with {means[nearest]:.3f}, {_chance(compared)}{_trouble(pipelines[best])}."
        )
    compared = figures["comparisons"][measured][best]
    before = f"{pipelines[baseline]['latency_ms']['p50']:.0f} ms"
    return (
        f"{best} is best by {measured}: {means[best]:.3f} against {means[baseline]:.3f} of {baseline}, "
        f"{_chance(compared)}; it takes {time} at the median against {before}{_trouble(pipelines[best])}."
    )


def _chance(compared: Mapping[str, Any]) -> str:
    """What a difference is worth."""
    p = f"p {compared['p_holm']:.4f} by Holm"
    difference = f"{compared['difference']:+.3f}"
    return f"a difference ({difference}) that " + (
        f"may be chance ({p})" if compared["p_holm"] >= CHANCE else f"is more than chance gives ({p})"
    )


def _trouble(pipeline: Mapping[str, Any]) -> str:
    count = len(pipeline["failed"]) + len(pipeline["degraded"])
    return f"; {count} of its searches failed or were degraded" if count else ""
