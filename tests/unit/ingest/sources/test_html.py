"""The text and the title of a page of HTML, as a person sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.ingest.sources.html import BREAKS_AND_SPACES, read_html


def text_of(html: str) -> str:
    return read_html(html.encode()).text


def test_a_page_is_read_as_a_person_would() -> None:
    found = read_html(
        b"""<html><head><title>The &amp; title</title><style>p {color: red}</style></head><body>
        <nav>menu</nav><h1>Heading</h1><p>One <b>bold</b>   word.</p><p>Two<br>lines</p><script>alert(1)</script>
        <ul><li>first</li><li>second</li></ul></body></html>"""
    )

    assert found.title == "The & title"
    assert found.text == "Heading\n\nOne bold word.\n\nTwo\nlines\n\nfirst\nsecond"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<table><tr><th>City</th><th>Metal</th></tr><tr><td>Lisbon</td><td>Zinc</td></tr></table>",
            "City Metal\nLisbon Zinc",
        ),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a b\nc d"),
        ("<table><caption>Depots</caption><tr><td>x</table>", "Depots\nx"),
        ("<dl><dt>Open</dt><dd>Weekdays</dd><dt>Shut</dt><dd>Sundays</dd></dl>", "Open\nWeekdays\nShut\nSundays"),
        ("<select><option>Drum</option><option>Pallet</option></select>", "Drum\nPallet"),
        ("<ul><li>Gate<ul><li>North</li><li>South</li></ul></li></ul>", "Gate\n\nNorth\nSouth"),
        ("<ol><li>one<li>two</ol>", "one\ntwo"),
        ("<p>one<p>two<div>three</div>four", "one\n\ntwo\n\nthree\nfour"),
        ("<h2>Head</h2>text<blockquote>said</blockquote>more", "Head\n\ntext\n\nsaid\n\nmore"),
        ("<figure><img src=x><figcaption>Under it</figcaption></figure>", "Under it"),
        ("<details><summary>More</summary>Inside</details>", "More\nInside"),
        ("<fieldset><legend>Size</legend><label>Small</label><label>Large</label></fieldset>", "Size\nSmall Large"),
        ("<button>Yes</button><button>No</button>", "Yes No"),
        ("left<img src=x>right", "left right"),
        ("left<video>no player</video>right", "left right"),
        ("left<hr>right", "left\n\nright"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<pre>first\n  second</pre>", "first\nsecond"),
        ("<textarea>first\nsecond</textarea>third", "first\nsecond\n\nthird"),
        ("<svg><text>Inlet</text><text>Outlet</text></svg>", "Inlet Outlet"),
        (
            '<span style="display: inline-block">Left</span><span style="color:red;display:block">Right</span>',
            "Left Right",
        ),
        ('<span style="float:left">Left</span>Right', "Left Right"),
        ('<span role="cell">Zinc</span><span role="cell">Lead</span>', "Zinc Lead"),
        ("Lisbon<sup><a href=#1>1</a></sup> and m<sup>2</sup>", "Lisbon 1 and m2"),
    ],
)
def test_what_stands_apart_on_the_page_stands_apart_in_the_text(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a <b>x</b>y", "a xy"),
        ("<a href=#>word</a>s, <em>e</em>m", "words, em"),
        ("H<sub>2</sub>O", "H2O"),
        ("super<wbr>market", "supermarket"),
        ("in<!-- a comment -->side", "inside"),
        ("<span>one</span> <span>two</span>", "one two"),
        ("one\n   two\t three", "one two three"),
        ("caf&eacute; &amp; &#x416;&nbsp;x", "café & Ж\u00a0x"),
    ],
)
def test_what_is_one_word_on_the_page_is_one_in_the_text(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>no()</script>", "<style>no{}</style>", "<template>no</template>", "<noscript>no</noscript>",
        "<p hidden>no</p>", "<p hidden=until-found>no</p>", '<span style="color: red; display:none">no</span>',
        "<i style='visibility: hidden'>no</i>", "<nav>no</nav>", "<!-- no -->", "<iframe>no</iframe>",
        "<svg><title>no</title></svg>", "<datalist><option>no</datalist>",
    ],
)  # fmt: skip
def test_what_a_page_does_not_show_is_left_out(unseen: str) -> None:
    assert text_of(f"<p>before</p>{unseen}<p>behind</p>") == "before\n\nbehind"


def test_a_hidden_paragraph_hides_no_more_than_itself() -> None:
    assert text_of("<p hidden>secret<p>shown") == "shown"


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title> The\n title </title><h1>Heading</h1>x", "The title"),
        ("<h1>The <i>heading</i></h1><p>text", "The heading"),
        ("<p>text", ""),
        ("<svg><title>Icon</title></svg><h1>Heading</h1>", "Heading"),
    ],
)
def test_the_title_is_the_pages_or_its_first_heading(html: str, title: str) -> None:
    found = read_html(html.encode())

    assert found.title == title
    assert ("Heading" in found.text) == ("Heading" in html)


@pytest.mark.parametrize(
    "data",
    [
        "<p>Ünïcode €".encode(),
        "\ufeff<p>Ünïcode €".encode(),
        "\ufeff<p>Ünïcode €".encode("utf-16-le"),
        "\ufeff<p>Ünïcode €".encode("utf-16-be"),
        "<p>Ünïcode €".encode("cp1252"),
        "<meta charset=iso-8859-1><p>Ünïcode €".encode("cp1252"),
        "<meta charset='utf-16'><p>Ünïcode €".encode(),
        '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-15"><p>Ünïcode €'.encode("iso8859-15"),
        '<?xml version="1.0" encoding="ISO-8859-15"?><p>Ünïcode €'.encode("iso8859-15"),
        "<!-- <meta charset=koi8-r> --><p>Ünïcode €".encode(),
    ],
)
def test_the_encoding_is_the_marks_the_declared_or_what_fits(data: bytes) -> None:
    assert read_html(data).text == "Ünïcode €"


def test_an_encoding_that_nobody_knows_is_told() -> None:
    with pytest.raises(ValueError, match="its encoding is 'x-own', which is not known; convert it to UTF-8"):
        read_html(b"<meta charset=x-own><p>x")


def test_a_page_that_is_not_what_it_says_is_told() -> None:
    with pytest.raises(ValueError, match=r"says that it is utf-8, which it is not \(byte 24\)"):
        read_html("<meta charset=utf-8><p>xé".encode("latin-1"))


def test_a_page_that_nests_without_end_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="nest deeper than 5,000 levels"):
        read_html(b"<div>" * 300_000)


WORDS = st.lists(st.text("abcdefgé", min_size=1, max_size=6), min_size=1, max_size=8)
BLOCKS_AND_CELLS = st.sampled_from(["p", "div", "li", "td", "dt", "dd", "option", "h2", "blockquote", "section"])


@given(WORDS, BLOCKS_AND_CELLS)
def test_words_in_blocks_of_any_kind_stay_words(words: list[str], tag: str) -> None:
    around = {"td": "<table><tr>{}</table>", "option": "<select>{}</select>"}.get(tag, "<main>{}</main>")

    found = text_of(around.format("".join(f"<{tag}>{word}</{tag}>" for word in words)))

    assert found.split() == words


@given(WORDS, st.sampled_from(["b", "i", "span", "a", "em", "code", "sub", "font", "x-own"]))
def test_a_word_in_pieces_of_any_kind_stays_a_word(pieces: list[str], tag: str) -> None:
    assert text_of("".join(f"<{tag}>{piece}</{tag}>" for piece in pieces)) == "".join(pieces)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read(html: str) -> None:
    found = text_of(html)

    assert not set(found) & set(BREAKS_AND_SPACES)
