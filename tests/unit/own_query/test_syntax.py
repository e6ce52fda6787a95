"""The words of a query string, without its operators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.own_query.syntax import plain_simple_words, plain_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("green tea", "green tea"),
        ("green AND tea OR leaf && bud || root", "green tea leaf bud root"),
        ("+green -bags !dust NOT stems tea", "green tea"),
        ("tea NOT (bags OR (dust -x)) leaf", "tea leaf"),
        ('"first flush"~3^2 tea~1 te?a gre*', "first flush tea tea gre"),
        ("title:tea text:(green leaf) title.\\*:bud", "tea green leaf bud"),
        ("brand:acme tea brand:(a b) -brand:c", "tea"),
        ("tea price:[1 TO 5} year:>=2000 {a TO b] _exists_:x", "tea"),
        ("tea /gr[ae]y/ leaf", "tea leaf"),
        ("t-shirt AT\\&T a\\:b C:D 24/7 hello! wow", "t-shirt AT&T a:b D 24/7 hello! wow"),
        ("ANDES NOTES ORDER", "ANDES NOTES ORDER"),
        ('an "open phrase', "an open phrase"),
        ("a - b", "a b"),
        ("*", ""),
        ("*:*", ""),
    ],
)
def test_words_of_a_query_string(text: str, words: str) -> None:
    assert plain_words(text, {"brand"}) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"green tea" + leaf | bud -bags', "green tea leaf bud"),
        ("-(dust stems) tea* te~2 t-shirt", "tea te t-shirt"),
        ("title:tea AND a^2 [x]", "title:tea AND a^2 [x]"),
    ],
)
def test_words_of_a_simple_query_string(text: str, words: str) -> None:
    assert plain_simple_words(text) == words


@given(st.text(alphabet='ab AND OR NOT+-!&|"~^*?:()[]{}/\\<>', max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    for words in (plain_words(text), plain_simple_words(text)):
        assert len(words) <= len(text)
