"""An application's query with a place for the text: any text goes in as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import QueryError
from connector.own_query.template import fill_template

TEMPLATE: dict[str, Any] = {
    "bool": {
        "must": [{"match": {"title": {"query": "{{query}}", "boost": 2}}}],
        "should": ({"wildcard": {"sku": "*{{ query }}*"}}, {"term": {"live": True}}),
    }
}


@given(st.text())
def test_any_text_goes_into_every_place_as_it_is(text: str) -> None:
    filled = json.loads(json.dumps(fill_template(TEMPLATE, text)))

    assert filled["bool"] == {
        "must": [{"match": {"title": {"query": text, "boost": 2}}}],
        "should": [{"wildcard": {"sku": f"*{text}*"}}, {"term": {"live": True}}],
    }


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"match": {"title": "tea"}}, r"has no \{\{query\}\}"),
        ({"{{query}}": {"title": "tea"}}, r"has no \{\{query\}\}"),
        ({"match": {"title": "{{query}} {{brand}}"}}, r"a place \{\{brand\}\}; only \{\{query\}\} is filled in"),
    ],
)
def test_what_is_no_template_is_refused(template: dict[str, Any], reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        fill_template(template, "tea")
