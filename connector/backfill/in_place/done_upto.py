"""Up to which sequence number each shard is done, while a round is under way.

Groups of documents are encoded and written side by side and end in any order. So a place in a shard counts as reached
once every group has ended that was read before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from connector.backfill.scan import NONE_YET


@dataclass(frozen=True, slots=True)
class ReadUpTo:
    """A place of the reader: of what its shard was to be looked at, all up to this number was read."""

    shard: int
    number: int


@dataclass(slots=True, eq=False)
class GroupUnderWay:
    """A group of documents, and for each shard the place that the reader had come to with it, where it had."""

    places: Mapping[int, int]
    has_ended: bool = False


class DoneUpTo:
    """The places that are reached, of each shard; none of one that was not read."""

    def __init__(self, shards: int) -> None:
        self.numbers = [NONE_YET] * shards
        self._under_way: deque[GroupUnderWay] = deque()

    def begin(self, places: Mapping[int, int]) -> GroupUnderWay:
        """A group that was read after all those before."""
        group = GroupUnderWay(dict(places))
        self._under_way.append(group)
        return group

    def end(self, group: GroupUnderWay) -> None:
        """Each of its documents is settled."""
        group.has_ended = True
        while self._under_way and self._under_way[0].has_ended:
            for shard, number in self._under_way.popleft().places.items():
                self.numbers[shard] = number
