"""How alike two rankings are, the first ranks counting most: rank-biased overlap."""

from __future__ import annotations

from collections.abc import Sequence

PERSISTENCE = 0.9  # the first ten ranks have 86 % of the weight


def rank_biased_overlap(left: Sequence[str], right: Sequence[str], *, persistence: float) -> float:
    """From 0, nothing in common, to 1, the same in the same order; what comes behind the last rank is taken to overlap
    as much as what was seen. Two empty rankings are the same.

    RBO_EXT, equation 32 of Webber, Moffat, Zobel, A Similarity Measure for Indefinite Rankings, TOIS 2010."""
    short, long = sorted((left, right), key=len)
    if not short:
        return 0.0 if long else 1.0
    p, total = persistence, 0.0
    in_short: set[str] = set()
    in_long: set[str] = set()
    overlap = overlap_of_short = 0
    for depth, doc_id in enumerate(long, start=1):
        in_long.add(doc_id)
        in_short.update(short[depth - 1 : depth])
        overlap = len(in_short & in_long)
        if depth <= len(short):
            overlap_of_short = overlap
        else:
            total += overlap_of_short * (depth - len(short)) / (len(short) * depth) * p**depth
        total += overlap / depth * p**depth
    behind = (overlap - overlap_of_short) / len(long) + overlap_of_short / len(short)
    return (1 - p) / p * total + behind * p ** len(long)
