"""Bands cut the searches into three, and a sample has its part of each."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.judging.queries.bands import allot, assign_bands, draw_sample
from connector.judging.queries.fold import LoggedQuery


def queries(*frequencies: int) -> list[LoggedQuery]:
    return [LoggedQuery(f"w{at}", f"w{at}", frequency) for at, frequency in enumerate(frequencies)]


def zipf(count: int) -> list[LoggedQuery]:
    return [
        LoggedQuery(f"{'long ' * (at % 4)}w{at}", f"{'long ' * (at % 4)}w{at}", max(count // (at + 1), 1))
        for at in range(count)
    ]


def test_each_band_has_about_a_third_of_the_searches() -> None:
    logged = zipf(3000)
    bands = assign_bands(logged)
    searches = Counter()
    for query in logged:
        searches[bands[query.key]] += query.frequency
    members = Counter(bands.values())

    assert all(0.25 < searches[band] / searches.total() < 0.42 for band in searches)
    assert members["head"] < members["torso"] < members["tail"]


@pytest.mark.parametrize(
    ("frequencies", "bands"),
    [
        ((1, 1, 1), ["tail", "tail", "tail"]),
        ((50, 30, 20), ["head", "torso", "tail"]),
        ((5, 5, 5, 5), ["head"] * 4),
        ((100,), ["head"]),
        ((30, 30, 30, 30), ["head"] * 4),
        ((40, 30, 20, 20, 1), ["head", "torso", "torso", "torso", "tail"]),
        ((90, 5, 5), ["head", "tail", "tail"]),
        ((60, 5, 5, 5, 1, 1), ["head", "tail", "tail", "tail", "tail", "tail"]),
    ],
)
def test_queries_that_are_as_frequent_share_a_band(frequencies: tuple[int, ...], bands: list[str]) -> None:
    assert list(assign_bands(queries(*frequencies)).values()) == bands


def test_a_sample_has_a_third_of_each_band_and_the_lengths_of_its_queries() -> None:
    sample = draw_sample(zipf(3000), 300, seed=1)
    tail = [sampled.query.words for sampled in sample if sampled.band == "tail"]
    bands = Counter(sampled.band for sampled in sample)

    assert len(sample) == 300
    assert bands["torso"] >= 100
    assert bands["head"] == len([band for band in assign_bands(zipf(3000)).values() if band == "head"])
    assert abs(sum(words > 2 for words in tail) / len(tail) - 0.5) < 0.03


def test_the_sample_depends_on_the_seed_and_not_on_the_log_s_order() -> None:
    logged = zipf(500)
    shuffled = random.Random(3).sample(logged, len(logged))
    drawn = [sampled.query.key for sampled in draw_sample(logged, 60, seed=7)]

    assert [sampled.query.key for sampled in draw_sample(shuffled, 60, seed=7)] == drawn
    assert [sampled.query.key for sampled in draw_sample(logged, 60, seed=8)] != drawn


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.integers(0, 70))
def test_the_sample_has_its_size_and_stands_for_about_all_searches(frequencies: list[int], size: int) -> None:
    logged = queries(*frequencies)
    sample = draw_sample(logged, size, seed=1)
    whole = draw_sample(logged, 0, seed=1)

    assert len(sample) == min(size or len(logged), len(logged))
    assert len({sampled.query.key for sampled in sample}) == len(sample)
    assert sum(sampled.stands_for for sampled in whole) == pytest.approx(sum(frequencies))


def test_what_a_sample_stands_for_is_the_log_on_average() -> None:
    logged = zipf(300)
    volume = sum(query.frequency for query in logged)
    sums = [sum(sampled.stands_for for sampled in draw_sample(logged, 60, seed=seed)) for seed in range(200)]

    assert sum(sums) / len(sums) == pytest.approx(volume, rel=0.03)


@given(
    st.integers(0, 100),
    st.lists(st.tuples(st.integers(0, 30), st.floats(0.1, 9.0)), min_size=1, max_size=6),
)
def test_shares_are_given_out_whole(count: int, keys: list[tuple[int, float]]) -> None:
    most = {at: limit for at, (limit, _) in enumerate(keys)}
    given_out = allot(count, {at: share for at, (_, share) in enumerate(keys)}, most)

    assert sum(given_out.values()) == min(count, sum(most.values()))
    assert all(given_out[at] <= most[at] for at in most)
