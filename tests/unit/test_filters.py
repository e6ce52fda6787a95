"""Filters as text and as JSON: read, checked against the fields, and written again."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import FilterError
from connector.filters import (
    MAX_NESTING,
    MAX_TERMS,
    And,
    Exists,
    Filter,
    Not,
    Or,
    Range,
    Terms,
    check_filter,
    fields_of,
    parse_expression,
    parse_filter,
)
from connector.schema import AnyFieldType

FIELDS: dict[str, AnyFieldType] = {
    "department": "keyword",
    "regions": "keyword[]",
    "year": "integer",
    "price": "number",
    "active": "boolean",
    "date": "date",
    "blob": "stored",
    "precise": "date_nanos",
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"term": {"a": "x"}}, Terms("a", ("x",))),
        ({"terms": {"a": ["x", 2]}}, Terms("a", ("x", 2))),
        ({"range": {"a": {"gte": 1, "lt": 5}}}, Range("a", {"gte": 1, "lt": 5})),
        ({"exists": "a"}, Exists("a")),
        ({"exists": {"field": "a"}}, Exists("a")),
        ({"not": {"exists": "a"}}, Not(Exists("a"))),
        ({"and": [{"exists": "a"}, {"exists": "b"}]}, And((Exists("a"), Exists("b")))),
        ({"or": [{"exists": "a"}, "b=1"]}, Or((Exists("a"), Terms("b", ("1",))))),
    ],
)
def test_json_form_is_read(source: Any, expected: Filter) -> None:
    assert parse_filter(source) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("department=legal", Terms("department", ("legal",))),
        (" department = legal ", Terms("department", ("legal",))),
        ("region=emea, apac,", Terms("region", ("emea", "apac"))),
        ("name=two words", Terms("name", ("two words",))),
        ("equation=a=b", Terms("equation", ("a=b",))),
        ("tier!=gold", Not(Terms("tier", ("gold",)))),
        ("!tier=gold", Not(Terms("tier", ("gold",)))),
        ("!tier!=gold", Terms("tier", ("gold",))),
        ("date>=2024-01-01", Range("date", {"gte": "2024-01-01"})),
        ("date>2024", Range("date", {"gt": "2024"})),
        ("price<=9.5", Range("price", {"lte": "9.5"})),
        ("price<9", Range("price", {"lt": "9"})),
        ("!price<9", Not(Range("price", {"lt": "9"}))),
        ("tier?", Exists("tier")),
        ("!tier?", Not(Exists("tier"))),
        ("title.keyword=x", Terms("title.keyword", ("x",))),
    ],
)
def test_text_form_is_read(text: str, expected: Filter) -> None:
    assert parse_expression(text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "department", "=legal", "a b=c", "tier??", "department=", "department=,", "x>"]
)
def test_text_that_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_expression(text)


@pytest.mark.parametrize("nothing", [None, "", [], {}, [[], ""], [None]])
def test_nothing_is_no_filter(nothing: Any) -> None:
    assert parse_filter(nothing) is None


def test_a_list_is_joined_by_and() -> None:
    found = parse_filter(["a=1", {"exists": "b"}, None])

    assert found == And((Terms("a", ("1",)), Exists("b")))


def test_a_list_of_one_is_the_one() -> None:
    assert parse_filter(["a=1"]) == Terms("a", ("1",))


def test_a_parsed_filter_is_taken_as_it_is() -> None:
    found = Not(Exists("a"))

    assert parse_filter(found) is found


@pytest.mark.parametrize(
    "source",
    [
        7,
        True,
        b"a=1",
        {"term": {"a": 1}, "exists": "b"},
        {"term": {}},
        {"term": {"a": 1, "b": 2}},
        {"term": "a"},
        {"terms": {"a": []}},
        {"terms": {"a": "x"}},
        {"terms": {"a": ["x"] * (MAX_TERMS + 1)}},
        {"range": {"a": {}}},
        {"range": {"a": 3}},
        {"range": {"a": {"above": 3}}},
        {"exists": 3},
        {"exists": {"name": "a"}},
        {"and": []},
        {"or": {}},
        {"not": []},
        {"not": [{"exists": "a"}]},
        {3: {"a": 1}},
    ],
)
def test_json_that_is_no_filter_is_refused(source: Any) -> None:
    with pytest.raises(FilterError):
        parse_filter(source)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(FilterError, match="'trem'; did you mean 'term'"):
        parse_filter({"trem": {"a": 1}})


def nested(depth: int) -> Any:
    source: Any = {"exists": "a"}
    for _ in range(depth):
        source = {"not": source}
    return source


def test_nesting_is_taken_to_the_limit_and_no_deeper() -> None:
    parse_filter(nested(MAX_NESTING))

    with pytest.raises(FilterError, match=f"nested {MAX_NESTING} deep"):
        parse_filter(nested(MAX_NESTING + 1))


def test_lists_in_lists_are_nesting_too() -> None:
    source: list[Any] = ["a=1"]
    for _ in range(5_000):
        source = [source]

    with pytest.raises(FilterError):
        parse_filter(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("department=7", Terms("department", ("7",))),
        ({"term": {"department": True}}, Terms("department", ("true",))),
        ("regions=a,b", Terms("regions", ("a", "b"))),
        ("year=2024", Terms("year", (2024,))),
        ({"term": {"year": 2024.0}}, Terms("year", (2024,))),
        ("price=9", Terms("price", (9.0,))),
        ("active=TRUE", Terms("active", (True,))),
        ("date=2024", Range("date", {"gte": "2024-01-01", "lt": "2025-01-01"})),
        ("date=2024-02", Range("date", {"gte": "2024-02-01", "lt": "2024-03-01"})),
        ("date=2024-12-31", Range("date", {"gte": "2024-12-31", "lt": "2025-01-01"})),
        ({"term": {"date": dt.date(2024, 2, 29)}}, Range("date", {"gte": "2024-02-29", "lt": "2024-03-01"})),
        ("date=2024-01-15T08:30:00Z", Terms("date", ("2024-01-15T08:30:00.000Z",))),
        (
            "date=2024-01-15,2024-01-15T08:30:00Z",
            Or(
                (
                    Range("date", {"gte": "2024-01-15", "lt": "2024-01-16"}),
                    Terms("date", ("2024-01-15T08:30:00.000Z",)),
                )
            ),
        ),
        ("date!=2024-01-15", Not(Range("date", {"gte": "2024-01-15", "lt": "2024-01-16"}))),
        ("date>2024-01-15", Range("date", {"gte": "2024-01-16"})),
        ("date>=2024-01-15", Range("date", {"gte": "2024-01-15"})),
        ("date<2024-01-15", Range("date", {"lt": "2024-01-15"})),
        ("date<=2024-01-15", Range("date", {"lt": "2024-01-16"})),
        ({"range": {"date": {"gt": "2023", "gte": "2024-06"}}}, Range("date", {"gte": "2024-06-01"})),
        ({"range": {"date": {"lt": "2024", "lte": "2024"}}}, Range("date", {"lt": "2024-01-01"})),
        ("date=9999", Range("date", {"gte": "9999-01-01", "lte": "9999-12-31T23:59:59.999Z"})),
        ("date>9999-12-31", Range("date", {"gt": "9999-12-31T23:59:59.999Z"})),
        ("department>=beta", Range("department", {"gte": "beta"})),
        ("date>=2024-01-31T12:00:00+02:00", Range("date", {"gte": "2024-01-31T10:00:00.000Z"})),
        ("year<2024", Range("year", {"lt": 2024})),
        ("precise=2024-02", Range("precise", {"gte": "2024-02-01", "lt": "2024-03-01"})),
        ("precise>2024", Range("precise", {"gte": "2025-01-01"})),
        (
            "precise=2024-02-01T12:00:00.123456789+02:00",
            Terms("precise", ("2024-02-01T10:00:00.123456789Z",)),
        ),
        ("precise>=2024-02-01 12:00:00.12345Z", Range("precise", {"gte": "2024-02-01T12:00:00.12345Z"})),
        ("precise=1706788800", Terms("precise", ("2024-02-01T12:00:00.000Z",))),
    ],
)
def test_values_take_the_fields_type(source: Any, expected: Filter) -> None:
    assert check_filter(parse_filter(source), FIELDS) == expected


def test_types_are_checked_at_every_depth() -> None:
    checked = check_filter(parse_filter({"and": [{"or": ["year=1", {"not": "year>2"}]}, {"exists": "date"}]}), FIELDS)

    assert checked == And((Or((Terms("year", (1,)), Not(Range("year", {"gt": 2})))), Exists("date")))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("year=soon", "'year' is an integer but holds 'soon'"),
        ("year=1.5", "integer"),
        ("price=cheap", "number"),
        ({"range": {"price": {"lt": float("nan")}}}, "finite"),
        ({"range": {"price": {"lt": 10**400}}}, "number"),
        ("active=maybe", "true or false"),
        ("date>=yesterday", "ISO 8601"),
        ({"term": {"department": ["a"]}}, "plain value"),
        ({"term": {"department": {"x": 1}}}, "plain value"),
        ({"term": {"department": None}}, "plain value"),
        ({"terms": {"department": ["a", ""]}}, "plain value"),
        ({"term": {"department": "\ud800"}}, "surrogate"),
        ("regions>a", "it holds lists"),
        ("department>=50", "--metadata department:number"),
        ("department<1e3", "compare letter by letter"),
        ({"range": {"department": {"gte": 50}}}, "--metadata department:number"),
        ("date=2024-13", "ISO 8601"),
        ("blob=x", "only stored"),
        ("blob?", "only stored"),
        ({"not": "blob?"}, "only stored"),
        ("departmnet=legal", "did you mean 'department'"),
        ("zzzz?", "it has: active, blob, date"),
    ],
)
def test_what_the_index_cannot_answer_is_refused_with_its_reason(source: Any, words: str) -> None:
    with pytest.raises(FilterError, match=words):
        check_filter(parse_filter(source), FIELDS)


def test_no_filter_needs_no_check() -> None:
    assert check_filter(None, FIELDS) is None


def to_json(found: Filter) -> Any:
    match found:
        case Terms(name, values):
            return {"terms": {name: list(values)}} if len(values) > 1 else {"term": {name: values[0]}}
        case Range(name, bounds):
            return {"range": {name: dict(bounds)}}
        case Exists(name):
            return {"exists": {"field": name}}
        case And(parts):
            return {"and": [to_json(part) for part in parts]}
        case Or(parts):
            return {"or": [to_json(part) for part in parts]}
        case Not(part):
            return {"not": to_json(part)}


names = st.text(st.characters(exclude_categories=["Zs", "Cc", "Zl", "Zp"], exclude_characters="=!<>?"), min_size=1)
values = st.text(min_size=1) | st.integers() | st.floats(allow_nan=False) | st.booleans()
leaves = (
    st.builds(Terms, names, st.lists(values, min_size=1, max_size=4).map(tuple))
    | st.builds(Range, names, st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1))
    | st.builds(Exists, names)
)
filters = st.recursive(
    leaves,
    lambda inner: (
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=8,
)


@given(filters)
def test_a_filter_survives_its_json_form(found: Filter) -> None:
    assert parse_filter(to_json(found)) == found


plain = st.text("abcXYZ0189-_é字", min_size=1)


@given(plain, st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), plain, st.booleans())
def test_a_comparison_survives_its_text_form(name: str, operator: str, value: str, negated: bool) -> None:
    bounds = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
    expected: Filter = Range(name, {bounds[operator]: value}) if operator in bounds else Terms(name, (value,))

    found = parse_expression(f"{'!' if negated else ''}{name}{operator}{value}")

    assert found == (Not(expected) if negated != (operator == "!=") else expected)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(exclude_categories=[])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["term", "terms", "range", "exists", "and", "or", "not", "gte", "lt", "field", *FIELDS])
            | st.text(),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_arbitrary_json_is_a_filter_or_a_filter_error(source: Any) -> None:
    with contextlib.suppress(FilterError):
        check_filter(parse_filter(source), FIELDS)


@given(st.sampled_from(["department", "regions", "year", "price", "active", "date", "blob", "x"]), anything)
def test_arbitrary_values_are_typed_or_a_filter_error(name: str, value: Any) -> None:
    for source in ({"term": {name: value}}, {"terms": {name: value}}, {"range": {name: {"gte": value}}}):
        with contextlib.suppress(FilterError):
            check_filter(parse_filter(source), FIELDS)


@given(
    st.text(st.characters(exclude_categories=[]))
    | st.from_regex(r"!?(department|year|date)\s*(=|!=|>=|<|\?).*", fullmatch=True)
)
def test_arbitrary_text_is_a_filter_or_a_filter_error(text: str) -> None:
    with contextlib.suppress(FilterError):
        check_filter(parse_filter(text), FIELDS)


def test_the_fields_of_a_filter_are_those_of_all_its_parts() -> None:
    found = parse_filter({"and": ["a=1", {"or": ["b>2", {"not": "c?"}]}, "a!=3"]})

    assert list(fields_of(found)) == ["a", "b", "c", "a"]
    assert list(fields_of(None)) == []
