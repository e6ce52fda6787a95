"""What each grade means, in the words of TREC's deep learning tracks and of UMBRELA (Upadhyay et al. 2024, "UMBRELA:
UMbrela is the (Open-Source Reproduction of the) Bing RELevance Assessor")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A grade, its name, and what a passage is that gets it."""

    grade: int
    name: str
    meaning: str


SCALE = (
    Step(0, "Irrelevant", "The passage has nothing to do with the query."),
    Step(1, "Related", "The passage seems related to the query but does not answer it."),
    Step(
        2,
        "Highly relevant",
        "The passage has some answer for the query, but the answer may be a bit unclear, or hidden amongst "
        "extraneous information.",
    ),
    Step(3, "Perfectly relevant", "The passage is dedicated to the query and contains the exact answer."),
)
