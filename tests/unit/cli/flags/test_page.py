"""Flags of a results page become options of a search, and its answer becomes JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.cli.flags.page import PageFlags
from connector.errors import QueryError
from connector.search.as_json import response_as_json
from connector.types import SearchResponse, Total


def test_only_what_was_given_becomes_an_option(tmp_path: Path) -> None:
    file = tmp_path / "facets.json"
    file.write_text('{"kinds": {"terms": {"field": "kind"}}}', encoding="utf-8")
    flags = PageFlags(aggs=str(file), total=True, highlight=True, source="title,date", sort=["date:desc"], offset=0)

    assert PageFlags().options() == {}
    assert flags.options() == {
        "aggs": {"kinds": {"terms": {"field": "kind"}}},
        "total": True,
        "highlight": True,
        "source": ["title", "date"],
        "sort": ["date:desc"],
        "offset": 0,
    }
    assert PageFlags(cursor="first").options() == {"cursor": True}
    assert PageFlags(cursor="c29tZQ").options() == {"cursor": "c29tZQ"}
    assert PageFlags(aggs=' {"a": {}}').options() == {"aggs": {"a": {}}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{", "JSON, or a file of it: "),
        ("nowhere.json", "No such file"),
        ("list.json", "a JSON object, not a list"),
    ],
)
def test_aggregations_that_cannot_be_read_are_said(
    value: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.json").write_text("[1]", encoding="utf-8")

    with pytest.raises(QueryError, match=f"^--aggs takes .*{reason}"):
        PageFlags(aggs=value).options()


def test_the_json_has_what_was_counted() -> None:
    response = SearchResponse("q", (), (), {}, total=Total(3, "gte"), aggregations={"kinds": {"buckets": []}})
    page = response_as_json(response)

    assert page["total"] == {"value": 3, "relation": "gte", "counted": "lexical"}
    assert page["aggregations"] == {"kinds": {"buckets": []}}
    assert response_as_json(SearchResponse("q", (), (), {}, cursor="c"))["cursor"] == "c"
    assert {"total", "aggregations", "cursor"}.isdisjoint(response_as_json(SearchResponse("q", (), (), {})))
