"""What a term of a query weighs, by how rare it is."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from connector.search.weights import idf_weights
from connector.types import TermFrequency, TermStatistics


def test_a_term_weighs_the_logarithm_of_its_rarity() -> None:
    weights = idf_weights(TermStatistics(99, (TermFrequency(0, 4, 9), TermFrequency(5, 9, 0))))

    assert weights == ((0, 4, math.log(100 / 9.5)), (5, 9, math.log(100 / 0.5)))


def test_a_term_in_every_document_weighs_nearly_nothing() -> None:
    ((_, _, weight),) = idf_weights(TermStatistics(1000, (TermFrequency(0, 3, 1000),))) or ()

    assert 0 <= weight < 0.001


def test_a_frequency_above_the_number_of_documents_never_weighs_below_zero() -> None:
    weights = idf_weights(TermStatistics(3, (TermFrequency(0, 3, 50),)))

    assert weights == ((0, 3, 0.0),)


def test_an_empty_index_and_a_query_of_stop_words_give_no_weights() -> None:
    unknown = idf_weights(TermStatistics(0, (TermFrequency(0, 3, 0),))), idf_weights(TermStatistics(10, ()))

    assert unknown == (None, None)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_rarer_term_never_weighs_less(documents: int, frequency: int, other: int) -> None:
    statistics = TermStatistics(
        documents, (TermFrequency(0, 1, min(frequency, other)), TermFrequency(1, 2, max(frequency, other)))
    )

    rare, common = idf_weights(statistics) or ()

    assert rare[2] >= common[2] >= 0
