"""Which fields of somebody's index are taken for texts to encode."""

from __future__ import annotations

import pytest

from connector.backfill.planning.texts import _candidates, choose_texts

LONG = "It is checked twice a day, and what was found is written into the log by whoever was there at the time. " * 2


@pytest.mark.parametrize(
    ("names", "source", "chosen"),
    [
        (["body", "title", "sku"], {}, ["title", "body"]),
        (["label", "remark"], {"label": "short", "remark": LONG}, ["remark"]),
        (["product.name", "product.text"], {}, ["product.name", "product.text"]),
        (["sku", "color"], {"sku": "a1", "color": "red"}, []),
        (["whatever"], {"whatever": "short"}, ["whatever"]),  # there is nothing else
        (["notes", "subject"], {"notes": [LONG, LONG]}, ["subject", "notes"]),
    ],
)
def test_a_title_and_prose_are_texts(names: list[str], source: dict[str, object], chosen: list[str]) -> None:
    assert choose_texts([source], names) == chosen


def test_copies_multi_fields_and_comments_are_not_asked_about() -> None:
    text = {"type": "text"}
    mapping = {
        "properties": {
            "title": text | {"copy_to": ["everything"], "fields": {"english": text}},
            "everything": text,
            "product": {"properties": {"text": text}},
            "comments": {"type": "nested", "properties": {"text": text}},
            "silent": text | {"index": False},
            "brand": {"type": "keyword"},
            "heading": {"type": "alias", "path": "title"},
        }
    }

    assert [found.name for found in _candidates(mapping)] == ["title", "product.text"]
