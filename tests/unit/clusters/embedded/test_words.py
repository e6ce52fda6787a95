"""How texts are split: what a word is, in every script, in documents and queries alike."""

from __future__ import annotations

import itertools
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.clusters.embedded.words import WITH_MARKS, split_for_index, split_for_query, stemmer, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The XT-50's foo_bar, 3.5 bar!", "The XT 50 s foo bar 3 5 bar"),
        ("a" * 200, "a" * 200),
        ("mu\u0308hle se\u00f1ora gyro\u200bscope hyper\u00adbaric", "m\u00fchle se\u00f1ora gyroscope hyperbaric"),
        ("温度", "温 度 温度"),
        ("水", "水"),
        ("温度計 XT", "温 度 計 温度 度計 XT"),
        ("문서를", "문 서 를 문서 서를"),
        ("ปิดน้ำ", "ปิ ปิด ดน้ น้ำ".replace("ปิ ", "", 1)),
        ("हिन्दी में", "हिन्दी में"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👍 ... _", ""),
    ],
)
def test_a_text_is_split_into_words_and_unspaced_scripts_into_characters_and_pairs(text: str, words: str) -> None:
    assert split_for_index(text) == words


def test_a_text_of_ascii_alone_is_split_as_within_others() -> None:
    text = " ".join(f"ab{chr(code)}cd" for code in range(128))

    assert f"{split_for_index(text)} é" == split_for_index(f"{text} é")


def test_a_query_looks_for_pairs_where_it_has_any() -> None:
    assert split_for_query("温度計") == "温度 度計"
    assert split_for_query("水") == "水"


@given(st.text(alphabet=st.sampled_from("ab ä\u0308温度計ปิด\u200b\u200c한-_1."), max_size=30))
def test_a_text_is_found_by_each_of_its_words_and_spans_stand_where_they_say(text: str) -> None:
    indexed = set(split_for_index(text).split())

    assert set(split_for_query(text).split()) <= indexed
    spans = list(word_spans(text))
    assert all(end > start for start, end, _ in spans)
    assert [start for start, _, _ in spans] == sorted(start for start, _, _ in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_all_marks_of_the_plane_are_where_they_are_looked_for() -> None:
    marks = [code for code in range(0x300, 0x1_0000) if unicodedata.category(chr(code)).startswith("M")]

    assert [code for code in marks if not any(code in codes for codes in WITH_MARKS)] == []


def test_so_many_stems_are_remembered_and_no_more() -> None:
    stem = stemmer("english")
    tracemalloc.start()
    try:
        for number in range(50_000):
            assert stem(f"b{number}ings") == f"b{number}ing"
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 8_000_000
