"""Plain pooling to a depth: the first documents of every run, then the second ones, and so on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from connector.evaluation.statistics.measures import Run
from connector.judging.pairs import PairKey


class ByDepth:
    """Pairs by the best rank that a run gives them; chance decides between those of one rank."""

    def __init__(self, keys: Sequence[PairKey], runs: Mapping[str, Run], *, depth: int, seed: int) -> None:
        ranks = best_ranks(runs, depth)
        last = depth + 1  # what no run has among its first comes at the end
        self._ordered = sorted(keys, key=lambda key: (ranks.get(key, last), lot(seed, *key)))
        self._graded: set[PairKey] = set()

    def tell(self, key: PairKey, grade: int | None) -> None:
        (self._graded.discard if grade is None else self._graded.add)(key)

    def next(self, count: int, without: Collection[PairKey]) -> list[PairKey]:
        open_keys = (key for key in self._ordered if key not in self._graded and key not in without)
        return list(islice(open_keys, count))


def pool_keys(runs: Iterable[Run], depth: int) -> list[PairKey]:
    """The pairs of each query with the first documents of every run, each once."""
    return list(
        dict.fromkeys(
            (query_id, hit.doc_id) for run in runs for query_id, ranking in run.items() for hit in ranking[:depth]
        )
    )


def best_ranks(runs: Mapping[str, Run], depth: int) -> dict[PairKey, int]:
    """The best rank that a run gives to each pair, from 1."""
    ranks: dict[PairKey, int] = {}
    for run in runs.values():
        for query_id, ranking in run.items():
            for rank, hit in enumerate(ranking[:depth], start=1):
                key = (query_id, hit.doc_id)
                ranks[key] = min(rank, ranks.get(key, rank))
    return ranks


def lot(seed: int, *names: str) -> bytes:
    """What chance says of something by its name: the same for the same seed, whatever else there is."""
    return hashlib.blake2b("\0".join([str(seed), *names]).encode(), digest_size=8).digest()
