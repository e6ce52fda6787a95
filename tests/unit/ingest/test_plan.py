"""What becomes of each column of a source, and why."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from support.ingest.rows import row

from connector.errors import SettingsError, SourceError
from connector.ingest.plan import MAX_FIELDS, Plan, describe_existing, empty_columns, plan_fields
from connector.ingest.sources import Row
from connector.ingest.survey import Survey, add_row
from connector.schema import Fields
from connector.settings.sections import FieldSettings

PROSE = "This is a sentence of a field that holds prose, long enough to be told from a label by its length. " * 2


def survey_of(rows: list[Row], *, typed: bool = True) -> Survey:
    survey = Survey()
    for found in rows:
        add_row(survey, found, typed=typed)
    return survey


def plan(rows: list[Row], *, typed: bool = True, id_field: str | None = None, **given: Any) -> Plan:
    return plan_fields(survey_of(rows, typed=typed), FieldSettings(**given), id_field=id_field)


def column_of(found: Plan, name: str) -> Any:
    return next(column for column in found.columns if column.column == name)


def test_fields_are_worked_out_from_usual_names() -> None:
    found = plan([row(_id="1", title="T", text="short", year=2024)])

    assert found.fields == Fields(text={"title": 1.0, "text": 1.0}, metadata={"year": "integer"}, id="_id")


def test_a_long_text_of_any_name_is_prose() -> None:
    found = plan([row(sku="1", story=PROSE, brand="acme")], id="sku")

    assert found.fields == Fields(text={"story": 1.0}, metadata={"brand": "keyword"}, id="sku")


def test_a_text_that_is_too_long_for_a_keyword_is_prose() -> None:
    found = plan(
        [row(id=str(at), text="t", note="short") for at in range(100)] + [row(id="z", text="t", note="x" * 40_000)]
    )

    assert "note" in found.fields.text


def test_the_title_comes_first_wherever_it_stands() -> None:
    assert list(plan([row(id="1", text="t", name="N")]).fields.text) == ["name", "text"]


@pytest.mark.parametrize("name", ["_id", "id", "doc_id", "path"])
def test_the_id_goes_by_usual_names(name: str) -> None:
    assert plan([row(**{name: "1", "text": "t"})]).fields.id == name


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], "boolean"),
        ([1, 2], "integer"),
        ([1, 2.5], "number"),
        ([Decimal("9.90"), 3], "number"),
        ([1, 2**63], "keyword"),
        (["a", "b"], "keyword"),
        (["12", "7"], "keyword"),  # who writes JSON says what is a number
        (["2024-01-31", "2024-02-01T10:00:00Z"], "date"),
        ([dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)], "date"),
        (["2024", "2025"], "keyword"),
        (["2024-01-31", "soon"], "keyword"),
        ([["a"], ["b", "c"]], "keyword[]"),
        (["a", ["b", "c"]], "keyword[]"),
        ([{"a": 1}], "stored"),
        ([["a", None]], "stored"),
        ([1, "a"], "keyword"),
        ([True, 1], "keyword"),
        ([[1.5]], "stored"),
    ],
)
def test_types_are_worked_out_from_all_values(values: list[Any], kind: str) -> None:
    rows = [row(id=str(number), text="t", field=value) for number, value in enumerate([*values, None, "", []])]

    assert plan(rows).fields.metadata == {"field": kind}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["9", "50", "-120"], "integer"),
        (["9", "12.50", ".5", "1e-05"], "number"),
        (["TRUE", "False", "true"], "boolean"),
        (["2024-01-31", "2024-02-01T10:00:00Z"], "date"),
        (["01234", "98765"], "keyword"),  # postcodes
        (["+49301234"], "keyword"),
        (["12", "n/a"], "keyword"),
        (["1234567890123456789012"], "keyword"),
        (["1,5"], "keyword"),
        (["yes", "no"], "keyword"),
    ],
)
def test_types_of_csv_are_worked_out_from_the_looks_of_all_values(values: list[str], kind: str) -> None:
    rows = [row(id=str(number), text="t", field=value) for number, value in enumerate(values)]

    assert plan(rows, typed=False).fields.metadata == {"field": kind}


def test_a_field_that_comes_late_is_found() -> None:
    rows = [row(id=str(at), text="t") for at in range(500)] + [row(id="z", text="t", supplier="Orsk")]

    assert plan(rows).fields.metadata == {"supplier": "keyword"}


def test_each_column_says_how_it_was_found_out() -> None:
    rows = [
        Row({"id": str(at), "text": "t", "price": value, "empty": ""}, f"a.csv:{at + 2}")
        for at, value in enumerate(["9", "12", "n/a"])
    ]
    found = plan(rows, typed=False)
    price, empty = column_of(found, "price"), column_of(found, "empty")

    assert column_of(found, "id").why == "a usual name of ids"
    assert (price.type, price.why) == ("keyword", "2 whole numbers, 1 texts ('n/a' at a.csv:4)")
    assert (price.rows, price.samples) == (3, ("9", "12", "n/a"))
    assert (empty.use, empty.why) == ("left out", "no row has a value in it")


def test_columns_that_no_field_can_be_called_get_another_name_and_say_so() -> None:
    names = [
        "unit",
        "meta.author",
        "meta_author",
        "_score",
        "passages",
        "content_hash",
        "a`b",
        "*",
        " ",
        "",
        "_id",
        "text--words",  # as the embedded store calls the words of the text
        "\ud800",
    ]
    found = plan([row(id="1", text="t", **dict.fromkeys(names, "x"))], id="id")
    called = {name: field for field, name in found.fields.columns.items()}

    found.fields.check_names()
    assert len(found.fields.metadata) == len(names)
    assert {name: called[name] for name in ("unit", "meta.author", "_score", "_id")} == {
        "unit": "unit_",
        "meta.author": "meta_author_2",
        "_score": "score",
        "_id": "id",
    }
    assert "called unit_, since no field can be called 'unit'" in column_of(found, "unit").why
    assert column_of(found, "unit").renamed


def test_text_without_an_id_is_no_question() -> None:
    found = plan([row(id="1", dish="Pea soup", price="7")], typed=False, text={"dish": 2.0})

    assert found.fields == Fields({"dish": 2.0}, {"price": "integer"}, "id")


def test_where_the_id_is_missing_nothing_else_is_asked_for() -> None:
    with pytest.raises(
        SettingsError, match=r"cannot tell which column is the id.*--id COLUMN.*The source has: no, dish"
    ):
        plan([row(no="1", dish="Pea soup")], text={"dish": 1.0})


def test_only_named_metadata_is_used_and_the_rest_is_named() -> None:
    found = plan([row(id="1", text="t", price=1, brand="b")], metadata={"price": "number"})

    assert found.fields.metadata == {"price": "number"}
    assert (column_of(found, "brand").use, column_of(found, "brand").field) == ("left out", None)


def test_a_number_that_is_to_be_a_date_shows_what_it_is_taken_for() -> None:
    found = plan([row(id="1", text="t", checked=1709624400)], metadata={"checked": "date"})

    assert column_of(found, "checked").why == "given; 1709624400 is taken for 2024-03-05T07:40:00.000Z"


def test_more_columns_than_an_index_takes_are_left_out_by_name() -> None:
    found = plan([row(id="1", text="t", **{f"c{at}": at for at in range(MAX_FIELDS + 2)})])

    assert len(found.fields.metadata) == MAX_FIELDS
    assert [column.column for column in found.columns if column.use == "left out"] == ["c500", "c501"]


def test_a_column_that_cannot_be_read_is_left_out_with_its_reason() -> None:
    found = plan([Row({"id": "1", "text": "t"}, "a:1", faults={"when": "too far away"})])

    assert column_of(found, "when").why == "it cannot be read (a:1: too far away)"


def test_rows_that_could_not_be_read_have_no_say() -> None:
    assert plan([Row({}, "x", error="broken"), row(id="1", text="t")]).fields.id == "id"


@pytest.mark.parametrize(
    ("rows", "given", "words"),
    [
        ([row(sku="1", text="t")], {}, "--id COLUMN .fields.id.. The source has: sku, text"),
        ([row(id="1", brand="acme")], {}, "--text COLUMN .fields.text.. The source has: id, brand"),
        ([row(id="1", body="t")], {"text": {"boddy": 1.0}}, "no row has the text column 'boddy'; did you mean 'body'"),
        ([row(sku="1", body="t")], {"id": "skuu"}, "no row has the id column 'skuu'; did you mean 'sku'"),
    ],
)
def test_what_cannot_be_worked_out_is_asked_for(rows: list[Row], given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        plan(rows, **given)


@pytest.mark.parametrize(
    ("rows", "given", "words"),
    [
        ([], {}, "the source holds no rows"),
        ([], {"id": "id"}, "the source holds no rows"),
        (
            [Row({}, "a:1", error="no JSON")],
            {},
            "none of the 1 rows of the source could be read; the first: a:1: no JSON",
        ),
    ],
)
def test_nothing_is_asked_for_where_no_row_could_answer(rows: list[Row], given: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=f"^{words}"):
        plan(rows, **given)


def test_a_few_values_of_another_kind_do_not_cost_the_text_its_column() -> None:
    found = plan([row(id="1", text="t"), row(id="2", text="t"), row(id="3", text={"a": 1})])

    assert found.fields.text == {"text": 1.0}


def test_a_column_of_objects_is_no_text_whatever_its_name() -> None:
    with pytest.raises(SettingsError, match="--text COLUMN"):
        plan([row(id="1", text={"a": 1}), row(id="2", text="t")])


def test_the_id_may_be_text_and_metadata_too() -> None:
    found = plan([row(id="1", body="t")], text={"id": 1.0}, metadata={"body": "keyword"})
    other = plan([row(id="1", body="t")], metadata={"id": "keyword"})

    assert found.fields.text == {"id": 1.0}
    assert [(column.use, column.why) for column in other.columns if column.column == "id"] == [
        ("id", "a usual name of ids"),
        ("metadata", "given"),
    ]
    assert (empty_columns(found), empty_columns(other)) == ({}, {})


def test_a_path_into_objects_is_a_column_that_rows_have() -> None:
    survey = Survey()
    add_row(survey, row(id="1", text="t", meta={"author": "Ann"}), typed=True, paths=["meta.author", "meta.year"])
    found = plan_fields(survey, FieldSettings(metadata={"meta.author": "keyword", "meta.year": "integer"}))

    assert column_of(found, "meta.author").samples == ("Ann",)
    assert column_of(found, "meta.author").rows == 1
    assert [*empty_columns(found)] == [
        "no row has a value in the column 'meta.year' (metadata: given; no row has it; did you mean 'meta.author'?; "
        "called meta_year, since no field can be called 'meta.year')"
    ]


def test_a_column_that_was_named_and_that_no_row_has_is_said() -> None:
    found = plan([row(id="1", title="T", text="t")], text={"titel": 2.0, "text": 1.0})

    assert empty_columns(found) == {
        "no row has a value in the column 'titel' (text: given; no row has it; did you mean 'title'?)": 1
    }


def test_an_index_that_is_there_keeps_its_fields_and_the_others_are_named() -> None:
    fields = Fields({"text": 1.0}, {"unit_": "keyword"}, "id", {"unit_": "unit"})
    found = describe_existing(survey_of([row(id="1", text="t", unit="K", late="x")]), fields)

    assert [(column.column, column.use, column.field) for column in found.columns] == [
        ("id", "id", "id"),
        ("text", "text", "text"),
        ("unit", "metadata", "unit_"),
        ("late", "left out", None),
    ]
