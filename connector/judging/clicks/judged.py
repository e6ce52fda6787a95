"""Attraction -> judgments, where enough people looked."""

from __future__ import annotations

from collections.abc import Sequence

from connector.judging.clicks.models import MODELS, estimate
from connector.judging.defaults import MIN_LOOKS
from connector.judging.formats.judged import Judged, JudgedFile
from connector.judging.formats.ubi import ClickCount


def judge_clicks(
    showings: Sequence[ClickCount], *, model: str, min_looks: float = MIN_LOOKS, notes: Sequence[str] = ()
) -> JudgedFile:
    """The values of a model of clicks, of those documents that at least so many users looked at; `model` is a name in
    MODELS, which has the cuts that make grades of them. The rest is counted in the notes."""
    found = estimate(model, showings)
    enough = [attraction for attraction in found if attraction.looks >= min_looks]
    judged = tuple(
        Judged(
            attraction.doc_id,
            attraction.value,
            text=attraction.text,
            by=model,
            about={
                "value": round(attraction.value, 4),
                "looks": round(attraction.looks, 1),
                "impressions": attraction.impressions,
                "clicks": attraction.clicks,
            },
        )
        for attraction in enough
    )
    few = len(found) - len(enough)
    more = (
        [f"{few} of {len(found)} pairs were looked at less than {min_looks:g} times, and get no grade"] if few else []
    )
    return JudgedFile(judged, notes=(*notes, *more))


def cuts_of(model: str) -> tuple[float, ...]:
    """The least values of grades 1, 2 and 3."""
    return MODELS[model]
