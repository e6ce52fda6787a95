"""The embedded store's SQL and ranking against a plain-Python evaluation; what all clusters share is in
tests/contract."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.effort import tries
from support.parts import HashEncoder, ids, schema_of
from support.schemas import VECTORS

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.clusters.embedded.index import EmbeddedIndex
from connector.clusters.embedded.sql import build_sql
from connector.errors import ClusterError, IndexExists, IndexMissing, SettingsError
from connector.filters import And, EngineQuery, Exists, Filter, Not, Or, Range, Terms, check_filter
from connector.lexical import LexicalQuery
from connector.schema import FieldType, IndexSchema
from connector.types import Document, IndexedDocument, Passage
from connector.values import check_value

ENCODER = HashEncoder(dims=4)
METADATA: dict[str, FieldType] = {
    "label": "keyword",
    "Odd 'n-me": "keyword",
    "tags": "keyword[]",
    "year": "integer",
    "price": "number",
    "active": "boolean",
    "date": "date",
}
NASTY = [
    "it's",
    "''",
    "'",
    '"',
    "\\",
    "\\'",
    "a'; DROP TABLE x; --",
    "%",
    "_",
    "`",
    "legal",
    "Legal",
    "é",
    "字",
    "👍",
    "\n",
    "\x00",
    "true",
    "null",
    "a,b",
    "--",
    "/*",
    "[x]",
]
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
            return value is not None and any(one in values for one in (value if isinstance(value, list) else [value]))
        case Range(name, bounds):
            value = row.get(name)
            if value is None:
                return False
            key = (lambda one: one.encode()) if isinstance(value, str) else (lambda one: one)
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


def indexed(doc_id: str, text: str, *, passages: list[str] | None = None, **fields: Any) -> IndexedDocument:
    cut = [text] if passages is None else passages
    return IndexedDocument(
        Document(doc_id, {"text": text, **fields}),
        "hash",
        tuple(Passage(doc_id, ordinal, one) for ordinal, one in enumerate(cut)),
        ENCODER.encode(cut),
    )


def schema(**fields: Any) -> IndexSchema:
    return schema_of(ENCODER, **({"text": {"text": 1.0}} | fields))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


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


@settings(max_examples=tries(80))
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


@settings(max_examples=tries(60))
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


def test_ids_with_quotes_are_fetched_and_removed(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def work() -> tuple[dict[str, Any], int]:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        await made.write([indexed(doc_id, "word") for doc_id in NASTY if doc_id != "\x00"])
        fetched = await made.get(["it's", "'", "absent"], fields=None, timeout_s=10)
        await made.remove(["it's", "'", "absent"])
        return fetched, await cluster.count("docs")

    fetched, left = runner.run(work())

    assert sorted(fetched) == ["'", "it's"]
    assert left == len(NASTY) - 3


def test_a_condition_is_never_unknown() -> None:
    condition = build_sql(Not(Terms("label", ("a'b",))), METADATA)

    assert condition == "(NOT coalesce(`label` IN ('a''b'), false))"


def test_writing_again_replaces_a_document_with_its_passages(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema(metadata={"extra": "stored"}))
        await made.write([indexed("a", "old text", passages=["old", "text"], extra={"n": [1]})])
        await made.write([indexed("a", "new", extra=["é"])])
        hits = await made.dense(ENCODER.encode_query("new"), depth=5, filter=None, timeout_s=10)
        return hits, await made.get(["a"], fields=None, timeout_s=10)

    hits, fetched = runner.run(work())

    assert [one.passage_id for one in hits[0].passages] == ["a#0"]
    assert fetched == {"a": {"text": "new", "extra": ["é"]}}


def test_the_dense_leg_brings_the_nearest_passages_and_the_cosine(runner: asyncio.Runner, tmp_path: Path) -> None:
    texts = ["red fish", "blue bird", "green frog", "grey mouse"]

    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        await made.write([indexed("a", "animals", passages=texts)])
        return await made.dense(ENCODER.encode_query("blue bird"), depth=5, filter=None, timeout_s=10, passages=3)

    (hit,) = runner.run(work())

    cosines = ENCODER.encode(texts) @ ENCODER.encode_query("blue bird")
    assert [one.ordinal for one in hit.passages] == np.argsort(-cosines)[:3].tolist()
    assert hit.score == pytest.approx(1.0)


def test_term_statistics_count_documents_by_stem_and_leave_out_stop_words(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    async def work() -> Any:
        cluster = await EmbeddedCluster.open(tmp_path)
        made = await cluster.create_index("docs", schema())
        before = await made.term_statistics("fish", timeout_s=10)
        await made.write([indexed("a", "Fishes fish fishing"), indexed("b", "one fish"), indexed("c", "bird")])
        await made.finish()
        return before, await made.term_statistics("fish, the bird? whale", timeout_s=10)

    before, after = runner.run(work())

    assert (before.documents, before.terms) == (0, ())
    assert after.documents == 3
    assert [(term.start, term.end, term.frequency) for term in after.terms] == [(0, 4, 2), (10, 14, 1), (16, 21, 0)]


def test_what_is_not_there_or_there_already_is_told(runner: asyncio.Runner, tmp_path: Path) -> None:
    cluster = runner.run(EmbeddedCluster.open(tmp_path))
    runner.run(cluster.create_index("docs", schema()))

    with pytest.raises(IndexExists, match="exists already"):
        runner.run(cluster.create_index("docs", schema()))
    with pytest.raises(IndexMissing, match="connector index create"):
        runner.run(cluster.open_index("other"))
    with pytest.raises(IndexMissing):
        runner.run(cluster.drop_index("other"))


def test_the_schema_comes_back_with_the_index(runner: asyncio.Runner, tmp_path: Path) -> None:
    made = schema(metadata=METADATA)

    async def work() -> IndexSchema:
        cluster = await EmbeddedCluster.open(tmp_path)
        await cluster.create_index("docs", made)
        return (await cluster.open_index("docs")).schema

    assert runner.run(work()) == made


def test_a_file_in_place_of_the_folder_is_told(runner: asyncio.Runner, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")

    with pytest.raises(ClusterError, match="cannot open the embedded store"):
        runner.run(EmbeddedCluster.open(tmp_path / "store"))


def test_an_approximate_vector_index_is_refused(runner: asyncio.Runner, tmp_path: Path) -> None:
    from dataclasses import replace

    cluster = runner.run(EmbeddedCluster.open(tmp_path))

    with pytest.raises(SettingsError, match="searches exactly"):
        runner.run(cluster.create_index("docs", replace(schema(), vectors=replace(VECTORS, index="hnsw"))))


TEXTS = {
    "letters": "The mu\u0308hle beside the hyper\u00adbaric cham\u200bber.",
    "long": "c9c8eb8fa9d1b03bcf0b61ac478a66ed91a224bde86ade4297065c0d3cc5b3ca is the checksum",
    "zh": "冷库的温度每天早上记录一次。",
    "ja": "温度計は毎朝点検します。",
    "ko": "문서를 매일 검색합니다",
    "th": "เครื่องวัดอุณหภูมิต้องตรวจสอบทุกเช้า",
    "other-zh": "花园里的水泵在冬天要关闭。",
    "other-th": "ปิดปั๊มน้ำในสวนช่วงฤดูหนาว",
}


@pytest.fixture(scope="module")
def many_scripts(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    async def work() -> EmbeddedIndex:
        cluster = await EmbeddedCluster.open(tmp_path_factory.mktemp("scripts"))
        made = await cluster.create_index("docs", schema())
        await made.write([indexed(doc_id, text) for doc_id, text in TEXTS.items()])
        await made.finish()
        return made

    return runner.run(work())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("m\u00fchle", ["letters"]),
        ("MU\u0308HLE", ["letters"]),
        ("hyperbaric", ["letters"]),
        ("chamber", ["letters"]),
        ("cham\u00adber", ["letters"]),
        ("c9c8eb8fa9d1b03bcf0b61ac478a66ed91a224bde86ade4297065c0d3cc5b3ca", ["long"]),
        ("温度", ["ja", "zh"]),
        ("温度計", ["ja", "zh"]),
        ("冷库", ["zh"]),
        ("水泵", ["other-zh"]),
        ("水", ["other-zh"]),
        ("点検", ["ja"]),
        ("검색", ["ko"]),
        ("อุณหภูมิ", ["th"]),
    ],
)
def test_words_of_every_script_and_length_are_found(
    runner: asyncio.Runner, many_scripts: EmbeddedIndex, query: str, found: list[str]
) -> None:
    hits = runner.run(many_scripts.lexical(LexicalQuery(query), depth=10, filter=None, timeout_s=10)).ranking

    assert sorted(hit.doc_id for hit in hits) == found
    assert all(hit.passages for hit in hits)


def test_the_text_stays_what_the_source_had(runner: asyncio.Runner, many_scripts: EmbeddedIndex) -> None:
    fields = runner.run(many_scripts.get(["letters"], fields=None, timeout_s=10))

    assert fields == {"letters": {"text": TEXTS["letters"]}}
