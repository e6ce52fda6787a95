"""How many clauses have to match, counted as the engines count."""

from __future__ import annotations

import pytest

from connector.own_query.shape import count_needed


@pytest.mark.parametrize(
    ("spec", "count", "needed"),
    [
        ("2", 3, 2),
        ("-1", 3, 2),
        ("-5", 3, 0),
        ("75%", 3, 2),
        ("-25%", 3, 3),
        ("-25%", 4, 3),
        ("3<90%", 3, 3),
        ("3<90%", 4, 3),
        ("2<-25% 9<-3", 2, 2),
        ("2<-25% 9<-3", 8, 6),
        ("2 < -25% 9 < -3", 12, 9),
        ("many", 3, 0),
        ("7", 3, 7),
    ],
)
def test_a_minimum_that_should_match_is_counted_as_the_engines_do(spec: str, count: int, needed: int) -> None:
    assert count_needed(spec, count) == needed
