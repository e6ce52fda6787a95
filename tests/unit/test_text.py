"""One spelling for what is compared: which spellings of a word are one word, and which are not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.text import normalise_text

ONE_WORD = {
    "a soft hyphen": ("hyper\u00adbaric", "hyperbaric"),
    "a soft hyphen at the end of a line": ("hyper\u00ad\n  baric", "hyperbaric"),
    "accents as letters of their own": ("mu\u0308hle sen\u0303ora", "mühle señora"),
    "an accent behind something invisible": ("mu\u200b\u0308hle", "mühle"),
    "a zero-width space": ("gyro\u200bscope", "gyroscope"),
    "a zero-width non-joiner": ("theodo\u200clite", "theodolite"),
    "a zero-width joiner": ("theodo\u200dlite", "theodolite"),
    "a word joiner and a byte order mark": ("\ufeffval\u2060ve", "valve"),
    "marks of direction": ("\u202avalve\u202c \u2067pump\u2069\u200e", "valve pump"),
    "a variation selector": ("葛\U000e0100城 ❤\ufe0f", "葛城 ❤"),
    "fillers of Hangul": ("val\u3164ve \u115fpump\uffa0", "valve pump"),
    "the Mongolian vowel separator": ("val\u180eve", "valve"),
    "tags": ("valve\U000e0041\U000e0042", "valve"),
    "ligatures": ("oﬃce ﬂange ﬁlter ǆ", "office flange filter dž"),
    "the long s": ("Waſſer", "Wasser"),
    "full-width letters and digits": ("ＶＡＬＶＥ　１２", "VALVE 12"),
    "half-width katakana": ("ﾎﾟﾝﾌﾟ", "ポンプ"),
    "Arabic presentation forms": ("ﻣﻀﺨﺔ ﷲ", "مضخة الله"),
    "mathematical letters": ("𝐩𝐮𝐦𝐩 𝟏𝟐", "pump 12"),
    "subscripts": ("H₂O", "H2O"),
    "radicals of a PDF": ("⽔泵", "水泵"),
    "the micro sign": ("5 \u00b5m", "5 \u03bcm"),
    "signs that are letters": ("5 \u2126, 3 \u212b", "5 Ω, 3 Å"),
    "other spaces": ("a\u00a0b\u2009c\u3000d\u202fe", "a b c d e"),
    "other hyphens": ("two\u2011stage two\u2010stage", "two-stage two-stage"),
    "other line ends": ("a\u2028b\u2029c\x85d", "a\nb\nc\nd"),
    "control characters": ("a\x00b\x1fc\x9fd", "a b c d"),
    "a joiner at the end of a word": ("می\u200c رود", "می رود"),
    "many joiners": ("می\u200c\u200c\u200cرود", "می\u200cرود"),
    "Thai words with their borders": ("อุณหภูมิ\u200bห้อง", "อุณหภูมิ ห้อง"),
}
LEFT_ALONE = {
    "superscripts": "x² 10⁵ 3ᵉ",
    "fractions": "1½ cups",
    "circled and bracketed numbers": "① ⑴ ⒈",
    "signs": "Acme™ 20 ℃ № 5 …",
    "Roman numerals": "Ⅷ",
    "square units": "5㎏ 20㎡ ㈱",
    "accents that stand alone": "´ ¨ ¸",
    "Hangul letters that stand alone": "ㅋㅋ",
    "Thai and Lao AM": "น้ำ ນ້ຳ",
    "a non-joiner in Persian": "می\u200cخواهم",
    "joiners in Indic scripts": "क्\u200dष ശ്രീ\u200cമതി",
    "an emoji of several": "👩\u200d🚒 ❤\u200d🔥",
    "line ends and tabs": "a\r\nb\tc",
    "plain text": "The pump's valve (M-12) costs 5 €.",
    "nothing": "",
}


@pytest.mark.parametrize("name", ONE_WORD)
def test_spellings_of_one_word_become_one(name: str) -> None:
    written, meant = ONE_WORD[name]

    assert normalise_text(written) == meant


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_means_something_else_is_left_alone(name: str) -> None:
    assert normalise_text(LEFT_ALONE[name]) == LEFT_ALONE[name]


@given(st.text())
def test_a_second_time_changes_nothing(text: str) -> None:
    once = normalise_text(text)

    assert normalise_text(once) == once


@given(st.text())
def test_composed_and_decomposed_text_become_the_same(text: str) -> None:
    composed = normalise_text(unicodedata.normalize("NFC", text))

    assert normalise_text(unicodedata.normalize("NFD", text)) == composed
