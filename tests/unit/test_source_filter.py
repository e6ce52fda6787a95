"""What of a document is shown, said as the engines' `_source` says it."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import QueryError
from connector.source_filter import SourceFilter, read_source_filter

FIELDS: dict[str, Any] = {
    "title": "a",
    "brand": {"name": "b", "seat": {"town": "c", "code": 7}},
    "offers": [{"price": 1, "note": "x"}, {"price": 2}, {"note": "y"}],
    "tags": ["d", "e"],
    "empty": {},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("title", {"title": "a"}),
        (["brand.seat", "tags"], {"brand": {"seat": {"town": "c", "code": 7}}, "tags": ["d", "e"]}),
        ("brand.*.code", {"brand": {"seat": {"code": 7}}}),
        ("offers.price", {"offers": [{"price": 1}, {"price": 2}]}),
        (["b*", "empty"], {"brand": FIELDS["brand"], "empty": {}}),
        ({"includes": ["brand"], "excludes": ["*.code"]}, {"brand": {"name": "b", "seat": {"town": "c"}}}),
        ({"excludes": ["brand", "offers", "t*"]}, {"empty": {}}),
        (["nothing", "titles"], {}),
        ([], {}),
        (False, {}),
    ],
)
def test_what_is_named_is_shown_and_what_is_excluded_stays_out(asked: Any, expected: dict[str, Any]) -> None:
    source = read_source_filter(asked)

    assert source
    assert source.apply(FIELDS) == expected
    assert {name for name in FIELDS if source.may_show(name)} >= expected.keys()


@pytest.mark.parametrize("asked", [None, True])
def test_without_a_filter_all_is_shown(asked: Any) -> None:
    assert read_source_filter(asked) is None
    assert SourceFilter().apply(FIELDS) == FIELDS


def test_a_field_of_which_nothing_is_named_need_not_be_read() -> None:
    source = read_source_filter(["brand.name", "of*.price"])

    assert source
    assert [name for name in FIELDS if source.may_show(name)] == ["brand", "offers"]


@pytest.mark.parametrize("asked", [3, [1], {"only": ["a"]}, {"includes": [""]}, {"includes": {"a": 1}}])
def test_what_names_no_fields_is_refused_with_the_spellings(asked: Any) -> None:
    with pytest.raises(QueryError, match="write True, False, a field"):
        read_source_filter(asked)
