"""Words of a query are found in a text, in any script; of a long text the part that has most of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.judging.page.marking import CommonWords, cut_best_part, find_common_words, find_marks

NONE = CommonWords()


def marked(query: str, text: str, common: CommonWords = NONE) -> list[str]:
    return [text[start:end] for start, end in find_marks(query, text, common)]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("registered deal", "Registering deals, a DEAL registry", ["Registering", "deals", "DEAL", "registry"]),
        ("cars", "car carpet cars'", ["car", "cars"]),
        ("café STRASSE", "cafe, Straße; caf\u00e9", ["cafe", "Straße", "café"]),
        ("ﬁlter", "filters", ["filters"]),
        ("a tier-2 plan", "A plan of tier 2", ["plan", "tier"]),  # letters that stand alone mark nothing
        ("c", "C and D", ["C"]),  # unless there is nothing else
        ("电池更换", "如何更换电池?", ["更换电池"]),
        ("電池の交換方法", "電池の交換は簡単です。方法:", ["電池の交換", "方法"]),
        ("電", "電 電池", ["電", "電"]),
        ("배터리 교체", "배터리를 교체합니다", ["배터리", "교체"]),
        ("แบตเตอรี่", "เปลี่ยนแบตเตอรี่", ["แบตเตอรี่"]),
        ("كِتاب", "هذا كتاب جديد", ["كتاب"]),
        ("बैटरी", "नई बैटरी लगाएं", ["बैटरी"]),
        ("שלום", "שָׁלוֹם עולם", ["שָׁלוֹם"]),
        ("<b>", "bold <b>", ["b"]),
        ("...", "...", []),
        ("", "text", []),
    ],
)
def test_words_and_their_forms_are_marked(query: str, text: str, expected: list[str]) -> None:
    assert marked(query, text) == expected


def test_words_that_most_of_the_pool_holds_are_not_marked_where_the_query_has_others() -> None:
    common = find_common_words([f"the connector and part {at}" for at in range(30)])

    assert marked("the part that breaks", "the part breaks", common) == ["breaks"]
    assert marked("the connector", "the connector", common) == ["the", "connector"]
    assert find_common_words(["the", "the"]).words == ()  # of so few nothing can be said


def test_of_a_long_text_the_part_with_most_of_the_query_is_cut_at_sentences() -> None:
    filler = [f"Sentence {at} tells a deal of other things at some length." for at in range(80)]
    text = " ".join([*filler[:40], "Partners keep a registered deal for 90 days.", *filler[40:]])
    start, end = cut_best_part(text, find_marks("partners registered deal", text, NONE)) or (0, 0)

    assert "Partners keep a registered deal for 90 days." in text[start:end]
    assert text[start:].startswith("Sentence") or text[start:].startswith("Partners")
    assert text[:end].endswith(".")
    assert end - start < 800


def test_a_long_text_without_the_words_shows_its_beginning_and_a_short_one_all() -> None:
    text = "Nothing of it here. " * 100

    assert (cut_best_part(text, []) or (1, 1))[0] == 0
    assert cut_best_part(text[:500], []) is None
    assert cut_best_part("電池" * 400, []) is not None  # without a space or a full stop


@given(st.text(), st.text())
def test_marks_are_stretches_of_any_text_in_their_order(query: str, text: str) -> None:
    marks = find_marks(query, text, NONE)
    part = cut_best_part(text * 9, [])

    assert all(0 <= start < end <= len(text) for start, end in marks)
    assert all(before[1] <= after[0] for before, after in pairwise(marks))
    assert part is None or 0 <= part[0] <= part[1] <= len(text * 9)
