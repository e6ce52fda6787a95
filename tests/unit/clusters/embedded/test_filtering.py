"""The embedded store's SQL for filters against a plain-Python evaluation."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.indices.embedded_documents import ENCODER, METADATA, NASTY, indexed, schema
from support.parts import ids
from support.runs.effort import tries

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.clusters.embedded.sql import build_sql
from connector.filters import And, EngineQuery, Exists, Filter, Not, Or, Range, Terms, check_filter
from connector.lexical import LexicalQuery
from connector.values import check_value

DATES = ["0999-12-31", "2023-12-31T23:59:59.999Z", "2024-01-01", "2024-01-01T00:00:00.001Z", "2024-06-15", "9999-12-31"]
NUMBERS = [-(2**63), -7, 0, 1, 2024, 2**53 + 1, 2**63 - 1]
FLOATS = [-1e300, -1.5, -0.0, 0.0, 5e-324, 1e-7, 0.1, 1.0, 1e16, 1.7976931348623157e308]

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "label": st.sampled_from(NASTY),
    "Odd 'n-me": st.sampled_from(NASTY),
    "tags": st.sampled_from(NASTY),
    "year": st.sampled_from(NUMBERS),
    "price": st.sampled_from(FLOATS),
    "active": st.booleans(),
    "date": st.sampled_from(DATES),
}


def rows() -> list[dict[str, Any]]:
    """Rows in which every value of every field occurs, some beside missing ones."""
    made: list[dict[str, Any]] = [{}, {"tags": ["it's", "legal"]}, {"tags": ["👍"], "year": 0}]
    for number, text in enumerate(NASTY):
        row = {
            "label": text,
            "Odd 'n-me": NASTY[-number],
            "tags": [text, NASTY[number - 3]],
            "year": NUMBERS[number % len(NUMBERS)],
            "price": FLOATS[number % len(FLOATS)],
            "active": number % 2 == 0,
            "date": DATES[number % len(DATES)],
        }
        made.append({name: value for position, (name, value) in enumerate(row.items()) if (number + position) % 4})
    return made


ROWS = {f"d{number:02}": row for number, row in enumerate(rows())}


def holds(found: Filter, row: Mapping[str, Any]) -> bool:
    """What a filter means, in plain Python."""
    match found:
        case Terms(name, values):
            value = row.get(name)
            return value is not None and any(item in values for item in (value if isinstance(value, list) else [value]))
        case Range(name, bounds):
            value = row.get(name)
            if value is None:
                return False
            key = (lambda operand: operand.encode()) if isinstance(value, str) else (lambda operand: operand)
            compare = {
                "gt": lambda bound: key(value) > key(bound),
                "gte": lambda bound: key(value) >= key(bound),
                "lt": lambda bound: key(value) < key(bound),
                "lte": lambda bound: key(value) <= key(bound),
            }
            return all(compare[name](bound) for name, bound in bounds.items())
        case Exists(name):
            return row.get(name) is not None
        case And(parts):
            return all(holds(part, row) for part in parts)
        case Or(parts):
            return any(holds(part, row) for part in parts)
        case Not(part):
            return not holds(part, row)
        case EngineQuery():
            raise AssertionError("an engine's query means nothing here")


@pytest.fixture(scope="module")
def index(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    """The rows above, in a real table."""

    async def fill() -> EmbeddedIndex:
        cluster = await EmbeddedCluster.open(tmp_path_factory.mktemp("store"))
        made = await cluster.create_index("docs", schema(metadata=METADATA))
        await made.write([indexed(doc_id, "word", **row) for doc_id, row in ROWS.items()])
        await made.finish()
        return made

    return runner.run(fill())


def found_by(index: EmbeddedIndex, runner: asyncio.Runner, found: Filter) -> list[str]:
    vector = ENCODER.encode_query("word")
    return sorted(ids(runner.run(index.dense(vector, depth=100, filter=found, timeout_s=30))))


def leaf(name: str) -> st.SearchStrategy[Filter]:
    values = VALUES[name]
    options: list[st.SearchStrategy[Filter]] = [
        st.builds(Terms, st.just(name), st.lists(values, min_size=1, max_size=3).map(tuple)),
        st.builds(Exists, st.just(name)),
    ]
    if name not in ("tags", "active"):
        bounds = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)
        options.append(st.builds(Range, st.just(name), bounds))
    return st.one_of(options)


filters = st.recursive(
    st.sampled_from(sorted(VALUES)).flatmap(leaf),
    lambda inner: (
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=5,
)


@settings(max_examples=tries(40))
@given(found=filters)
@example(found=Not(Terms("label", ("it's",))))
@example(found=Not(Range("year", {"gt": 0})))
@example(found=Not(Not(Terms("tags", ("legal",)))))
@example(found=Range("year", {"gte": -(2**63)}))
@example(found=Range("price", {"gte": 5e-324}))
@example(found=And((Or((Exists("label"), Exists("year"))), Not(Exists("date")))))
def test_a_filter_finds_what_it_means(index: EmbeddedIndex, runner: asyncio.Runner, found: Filter) -> None:
    checked = check_filter(found, METADATA)
    assert checked is not None

    assert found_by(index, runner, checked) == [doc_id for doc_id, row in ROWS.items() if holds(checked, row)]


@settings(max_examples=tries(30))
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_no_text_breaks_out_of_its_quotes(index: EmbeddedIndex, runner: asyncio.Runner, text: str) -> None:
    for name in ("label", "tags"):
        expected = [
            doc_id
            for doc_id, row in ROWS.items()
            if text == row.get(name) or text in (row.get("tags", []) if name == "tags" else [])
        ]

        assert found_by(index, runner, Terms(name, (text,))) == expected


def test_dates_are_compared_as_instants(index: EmbeddedIndex, runner: asyncio.Runner) -> None:
    bound = check_value("date", "date", "2024-01-01T02:00:00+02:00")

    found = found_by(
        index, runner, Range("date", {"gte": bound, "lt": check_value("date", "date", dt.date(2024, 6, 15))})
    )

    expected = ("2024-01-01", "2024-01-01T00:00:00.001Z")
    assert found == [doc_id for doc_id, row in ROWS.items() if row.get("date") in expected]


def test_both_legs_filter_alike(index: EmbeddedIndex, runner: asyncio.Runner) -> None:
    found = Not(Terms("label", ("it's", "legal")))

    lexical = runner.run(index.lexical(LexicalQuery("word"), depth=100, filter=found, timeout_s=30)).ranking

    assert sorted(ids(lexical)) == found_by(index, runner, found)


def test_a_condition_is_never_unknown() -> None:
    condition = build_sql(Not(Terms("label", ("a'b",))), METADATA)

    assert condition == "(NOT coalesce(`label` IN ('a''b'), false))"
