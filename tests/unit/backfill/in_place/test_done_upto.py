"""Up to where a round is done while its groups end in any order."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from connector.backfill.in_place.done_upto import DoneUpTo
from connector.backfill.scan import NONE_YET


@given(st.lists(st.dictionaries(st.integers(0, 1), st.just(0)), max_size=12), st.randoms())
def test_a_place_counts_once_all_that_was_read_before_it_has_ended(
    read: list[dict[int, int]], chance: random.Random
) -> None:
    done = DoneUpTo(2)
    places = [dict.fromkeys(shards, at) for at, shards in enumerate(read)]  # each further than those before
    groups = [done.begin(place) for place in places]
    order = list(range(len(groups)))
    chance.shuffle(order)
    ended: set[int] = set()
    for at in order:
        done.end(groups[at])
        ended.add(at)
        whole = next((number for number in range(len(groups)) if number not in ended), len(groups))

        for shard in range(2):
            reached = [place[shard] for place in places[:whole] if shard in place]
            assert done.numbers[shard] == max(reached, default=NONE_YET)
