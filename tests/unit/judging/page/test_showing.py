"""What is shown of a document."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import SettingsError
from connector.judging.page.showing import ShownDocument, make_view
from connector.judging.pairs import Pair


def show(values: dict[str, Any], *fields: str, query: str = "deal") -> ShownDocument:
    return make_view([Pair("q", "d", 0, values)], fields).show(query, values)


def texts(document: ShownDocument) -> dict[str, str]:
    return {field.name: "".join(piece.text for piece in field.whole) for field in document.fields}


def test_a_title_heads_the_document_and_a_text_alone_needs_no_name() -> None:
    document = show({"text": "A deal.", "title": "Deals"})

    assert document.heading
    assert [(piece.text, piece.is_marked) for piece in document.heading.whole] == [("Deals", True)]
    assert texts(document) == {"text": "A deal."}
    assert [(piece.text, piece.is_marked) for piece in document.fields[0].whole] == [
        ("A ", False), ("deal", True), (".", False),
    ]  # fmt: skip
    assert not document.has_names
    assert not document.is_long


def test_the_fields_that_are_chosen_are_shown_in_their_order() -> None:
    values = {
        "title": "t",
        "price": 12.5,
        "colours": ["red", 3],
        "text": "x",
        "none": None,
        "empty": " ",
        "at": {"a": 1},
    }

    assert list(texts(show(values))) == ["price", "colours", "text", "at"]
    assert texts(show(values, "colours", "price", "at")) == {"colours": "red · 3", "price": "12.5", "at": '{"a": 1}'}
    assert show(values, "colours", "price").has_names


def test_a_field_that_no_document_has_is_an_error_that_names_those_that_are_there() -> None:
    with pytest.raises(SettingsError, match=r"no document of the pool has a field 'body'.*title, text"):
        show({"title": "t", "text": "x"}, "title", "body")


def test_a_long_field_has_its_best_part_as_well() -> None:
    text = "Other things are said. " * 90 + "The deal is here. " + "More is said. " * 90
    (field,) = show({"text": text}).fields

    assert "".join(piece.text for piece in field.whole) == text
    assert any(piece.is_marked for piece in field.best)
    assert (field.is_cut_before, field.is_cut_after) == (True, True)
    assert field.words == len(text.split())


def test_a_document_without_the_fields_is_shown_as_empty() -> None:
    pairs = [Pair("q", "d", 0, {"text": "x"}), Pair("q", "e", 1, {})]

    assert make_view(pairs, ["text"]).show("q", {}) == ShownDocument(None, ())
