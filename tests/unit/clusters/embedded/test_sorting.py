"""The order that a caller demands: which of several values counts, and where rows without one go."""

from __future__ import annotations

import pytest

from connector.clusters.embedded.sorting import SCORE, SortKey, sort_rows

ROWS = [
    {"doc_id": doc_id, "price": price, SCORE: 1.0}
    for doc_id, price in {"wide": [1, 9], "narrow": [2, 3], "single": 5, "none": None}.items()
]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # the engines sort upwards by the least of a document's values, and downwards by the greatest
        (SortKey("price", descending=False), ["wide", "narrow", "single", "none"]),
        (SortKey("price", descending=True), ["wide", "single", "narrow", "none"]),
        (SortKey("price", descending=False, missing_first=True), ["none", "wide", "narrow", "single"]),
    ],
)
def test_the_nearest_end_of_several_values_counts(key: SortKey, expected: list[str]) -> None:
    assert [row["doc_id"] for row in sort_rows(ROWS, [key])] == expected
