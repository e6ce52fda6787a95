"""Plain text and Markdown as documents: encodings, titles and front matter."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from connector.ingest.sources.text import FileText, read_markdown, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_plain_text_is_read_as_its_mark_says(encoding: str, end: str) -> None:
    assert read_text(f"Zoë{end}two".encode(encoding)) == FileText("", "Zoë\ntwo")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("abcé".encode("latin-1"), r"not UTF-8 \(byte 3\); convert it, e\.g\. iconv"),
        ("\ufeffab".encode("utf-16-le") + b"\x00", r"not UTF-16-LE \(byte 6\)"),
        ("some text".encode("utf-16-le"), "null bytes, so it is no text, or UTF-16 without"),
    ],
)
def test_what_is_no_text_is_told(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_text(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The title #\n\ntext", FileText("The title", "\ntext")),
        ("before\n# Title\nafter", FileText("Title", "before\nafter")),
        ("## Lesser\ntext", FileText("", "## Lesser\ntext")),
        ("no heading", FileText("", "no heading")),
        ("---\ntitle: x\n---\n# Title\ntext", FileText("x", "# Title\ntext")),
        ("---\nname: x\n---\n# Title\ntext", FileText("Title", "\ntext")),
        ("```\n# a comment\n```\n# Title\ntext", FileText("Title", "```\n# a comment\n```\ntext")),
        ("# Only a heading", FileText("Only a heading", "# Only a heading")),
        ("text\n---\nmore\n---\n", FileText("", "text\n---\nmore\n---\n")),
    ],
)
def test_markdown_has_its_first_heading_as_title(text: str, expected: FileText) -> None:
    found = read_markdown(text.encode())

    assert (found.title, found.text.strip()) == (expected.title, expected.text.strip())


@pytest.mark.parametrize(
    ("front", "title", "fields"),
    [
        ("title: The title\ntags: [a, b]\nyear: 2024", "The title", {"tags": ["a", "b"], "year": 2024}),
        ("date: 2024-01-31\ndraft: false", "Heading", {"date": dt.date(2024, 1, 31), "draft": False}),
        ("author:\n  name: Ada\n  born: 1815-12-10", "Heading", {"author": {"name": "Ada", "born": "1815-12-10"}}),
        ("title:\nempty:", "Heading", {}),
        ("", "Heading", {}),
    ],
)
def test_front_matter_gives_fields(front: str, title: str, fields: dict[str, Any]) -> None:
    found = read_markdown(f"---\n{front}\n---\n# Heading\ntext".encode())

    assert (found.title, found.fields, dict(found.notes)) == (title, fields, {})
    assert found.text.strip() == ("text" if title == "Heading" else "# Heading\ntext")


def test_front_matter_that_would_hide_the_text_is_not_read() -> None:
    found = read_markdown(b"---\ntext: other\npath: elsewhere\n---\nthe text")

    assert (found.text, found.fields) == ("the text", {})
    assert dict(found.notes) == {"front matter's 'path' is not read": 1, "front matter's 'text' is not read": 1}


@pytest.mark.parametrize(
    "front",
    [
        "a: b: c",
        "just words",
        "- a list",
        "a: 1\na: 2",
        "a: &x [1]\nb: [*x, *x]",
        "a: !!python/x y",
        "a: !!bool perhaps",
        "a: !!int ''",
    ],
)
def test_front_matter_that_cannot_be_kept_is_text(front: str) -> None:
    found = read_markdown(f"---\n{front}\n---\ntext".encode())

    assert found.text == f"---\n{front}\n---\ntext"
    assert dict(found.notes) == {"front matter that is no mapping in YAML is read as text": 1}


def test_a_value_of_front_matter_that_cannot_be_kept_costs_no_other() -> None:
    found = read_markdown(b"---\nbig: .inf\nteam: tides\n---\ntext")

    assert (found.text, found.fields) == ("text", {"team": "tides"})
    assert dict(found.notes) == {"front matter's 'big' is left out: it is infinite, which no index can keep": 1}
