"""Inputs of like length share a batch, within its budget of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connector.models.batching import batches


def test_inputs_of_like_length_go_together_longest_first() -> None:
    assert list(batches([1, 9, 2, 8, 10], max_batch_tokens=20)) == [[4, 1], [3, 2], [0]]


def test_padding_counts_towards_the_budget() -> None:
    assert list(batches([10, 1, 1], max_batch_tokens=20)) == [[0, 1], [2]]


def test_an_input_above_the_budget_is_a_batch_of_its_own() -> None:
    assert list(batches([50, 5, 60], max_batch_tokens=20)) == [[2], [0], [1]]


def test_inputs_without_tokens_still_come() -> None:
    assert sorted(position for batch in batches([0, 0, 0], max_batch_tokens=2) for position in batch) == [0, 1, 2]


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], max_batch_tokens=10)) == []


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 2_000))
def test_every_position_comes_once_within_the_budget(lengths: list[int], max_batch_tokens: int) -> None:
    made = list(batches(lengths, max_batch_tokens=max_batch_tokens))

    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        padded = max(lengths[position] for position in batch) * len(batch)
        assert len(batch) == 1 or padded <= max_batch_tokens
