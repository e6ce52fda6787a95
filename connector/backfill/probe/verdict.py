"""What a probe says of an index: what stands in the way of filling it in place, what works instead, what to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

OtherWay = Literal["into", "beside"]  # an index that is built anew, or one of ours beside theirs
BOTH_WAYS: tuple[OtherWay, ...] = ("into", "beside")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an index cannot be filled in place. `remedy` says what works; `ways` are the commands that do as it is."""

    rule: str
    reason: str
    remedy: str
    ways: tuple[OtherWay, ...] = BOTH_WAYS

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Concern:
    """What does not stand in the way and should be known before: what it is, and what follows from it."""

    rule: str
    says: str

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, slots=True)
class ProbeVerdict:
    """What was found of one index: in place where there is no obstacle."""

    index: str
    obstacles: tuple[Obstacle, ...] = ()
    concerns: tuple[Concern, ...] = ()

    @property
    def in_place(self) -> bool:
        return not self.obstacles

    @property
    def ways(self) -> tuple[OtherWay, ...]:
        """The ways that work as the index is now, beside in place."""
        return tuple(way for way in BOTH_WAYS if all(way in obstacle.ways for obstacle in self.obstacles))

    @property
    def words(self) -> str:
        """Why not in place, and what works, in one text; empty where it can be filled in place."""
        if self.in_place:
            return ""
        reasons = "; ".join(obstacle.reason for obstacle in self.obstacles)
        remedies = dict.fromkeys(obstacle.remedy for obstacle in self.obstacles)
        return f"index {self.index!r} cannot be filled in place: {reasons}. What works: {'; '.join(remedies)}"


def sum_up(index: str, found: Sequence[Obstacle | Concern]) -> ProbeVerdict:
    """The verdict on an index from what its rules say."""
    return ProbeVerdict(
        index,
        tuple(reason for reason in found if isinstance(reason, Obstacle)),
        tuple(reason for reason in found if isinstance(reason, Concern)),
    )
