"""Queries by how often they are asked: head, torso and tail; and a sample of each."""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeVar, get_args

from connector.evaluation.segments import length_of
from connector.judging.queries.fold import LoggedQuery

Band = Literal["head", "torso", "tail"]
BANDS: tuple[Band, ...] = get_args(Band)
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class SampledQuery:
    """A query of the sample. `stands_for` is how many searches of the log it stands for: its frequency, times the
    queries of its band and length for each one of them that was drawn."""

    query: LoggedQuery
    band: Band
    stands_for: float


def assign_bands(queries: Sequence[LoggedQuery]) -> dict[str, Band]:
    """The band of each key. The queries are put in order by frequency, and their searches are cut into three equal
    parts: the head has the few queries of the first, the tail the many of the last.

    A query is in the band where its searches begin. Those that are as frequent share the band of the first of them;
    what was asked once is tail."""
    ordered = sorted(queries, key=lambda query: -query.frequency)
    volume = sum(query.frequency for query in ordered)
    bands: dict[str, Band] = {}
    before = 0
    for frequency, group in groupby(ordered, key=lambda query: query.frequency):
        keys = [query.key for query in group]
        place = len(BANDS) * before // volume if frequency > 1 else len(BANDS) - 1
        bands |= dict.fromkeys(keys, BANDS[place])
        before += frequency * len(keys)
    return bands


def draw_sample(
    queries: Sequence[LoggedQuery], size: int, *, seed: int, held: Collection[str] = ()
) -> list[SampledQuery]:
    """`size` queries beside those with the `held` keys, which were drawn before, and these; the same for the same seed
    whatever their order; all of them for 0. The most frequent first.

    The bands have equal parts, which are their parts of the searches; what a band lacks goes to the others. Within a
    band the lengths have the parts that they have of its queries. All queries of a band and length are as likely."""
    bands = assign_bands(queries)
    strata: dict[Band, dict[str, list[LoggedQuery]]] = {band: {} for band in BANDS}
    for query in sorted(queries, key=lambda query: query.key):
        strata[bands[query.key]].setdefault(length_of(query.text), []).append(query)
    fresh = {
        band: {length: [query for query in strata[band][length] if query.key not in held] for length in strata[band]}
        for band in BANDS
    }
    sizes = {band: sum(map(len, lengths.values())) for band, lengths in fresh.items()}
    wanted = allot(min(size or len(queries), sum(sizes.values())), dict.fromkeys(BANDS, 1.0), sizes)
    chance = random.Random(seed)
    drawn: list[SampledQuery] = []
    for band in BANDS:
        lengths = {length: strata[band][length] for length in sorted(strata[band])}
        counts = {length: len(fresh[band][length]) for length in lengths}
        for length, count in allot(wanted[band], counts, counts).items():
            before = [query for query in lengths[length] if query.key in held]
            taken = [*before, *chance.sample(fresh[band][length], count)]
            for query in taken:
                drawn.append(SampledQuery(query, band, query.frequency * len(lengths[length]) / len(taken)))
    return sorted(drawn, key=lambda sampled: (-sampled.query.frequency, sampled.query.key))


def allot(count: int, shares: Mapping[_Key, float], most: Mapping[_Key, int]) -> dict[_Key, int]:
    """How many of `count` each key has, by its share and no more than its most: the largest remainders are rounded up,
    and what a key has no room for goes to the others."""
    given = dict.fromkeys(shares, 0)
    while (left := count - sum(given.values())) > 0 and (
        open_keys := [key for key in shares if given[key] < most[key]]
    ):
        total = sum(shares[key] for key in open_keys)
        quotas = {key: left * shares[key] / total for key in open_keys}
        for key in open_keys:
            given[key] = min(given[key] + int(quotas[key]), most[key])
        left = count - sum(given.values())
        for key in sorted(open_keys, key=lambda key: -(quotas[key] % 1))[:left]:
            given[key] += given[key] < most[key]
    return given
