"""Values of typed fields: what fits, how it is spelled, and dates in every form."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.errors import DocumentError
from connector.layout import FIELD_TYPES
from connector.values import MAX_KEYWORD_BYTES, check_value, to_instant, to_iso

UTC = dt.UTC


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("keyword", "legal", "legal"),
        ("keyword", 7, "7"),
        ("keyword", 1.5, "1.5"),
        ("keyword", True, "true"),
        ("keyword", ["legal"], "legal"),
        ("keyword[]", ["a", 2, None], ["a", "2"]),
        ("keyword[]", ("a",), ["a"]),
        ("keyword[]", "a", ["a"]),
        ("integer", 7, 7),
        ("integer", "7", 7),
        ("integer", " -7 ", -7),
        ("integer", 7.0, 7),
        ("integer", "7.0", 7),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", str(-(2**63)), -(2**63)),
        ("integer", [7], 7),
        ("number", 7, 7.0),
        ("number", "7.25", 7.25),
        ("boolean", True, True),
        ("boolean", "False", False),
        ("date", "2024-01-31", "2024-01-31"),
        ("date", "2024-01-31T12:00:00Z", "2024-01-31T12:00:00.000Z"),
        ("date", dt.date(2024, 1, 31), "2024-01-31"),
        ("date", 1709624400, "2024-03-05T07:40:00.000Z"),
        ("date", "1709624400", "2024-03-05T07:40:00.000Z"),
        ("date", 2024, "2024-01-01"),
        ("stored", {"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_a_fitting_value_is_written_in_its_type(kind: Any, value: Any, expected: Any) -> None:
    checked = check_value("f", kind, value)

    assert (checked, type(checked)) == (expected, type(expected))


@pytest.mark.parametrize("kind", FIELD_TYPES)
@pytest.mark.parametrize("nothing", [None, "", []])
def test_nothing_is_a_missing_value(kind: Any, nothing: Any) -> None:
    assert check_value("f", kind, nothing) is None


def test_a_list_of_nothing_is_a_missing_value() -> None:
    assert check_value("f", "keyword[]", [None, None]) is None


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("keyword", {"a": 1}, "holds dict"),
        ("keyword", ["a", "b"], r"2 values \(use keyword\[\] for lists\)"),
        ("keyword", "x" * (MAX_KEYWORD_BYTES + 1), "at most 32766 fit"),
        ("keyword", "é" * (MAX_KEYWORD_BYTES // 2 + 1), "at most 32766 fit"),
        ("keyword[]", [["a"]], "holds list"),
        ("integer", 7.5, "is an integer but holds 7.5"),
        ("integer", "1_000", "is an integer but holds '1_000'"),
        ("number", "1_000.5", "is a number but holds '1_000.5'"),
        ("integer", "seven", "holds 'seven'"),
        ("integer", True, "holds True"),
        ("integer", float("inf"), "is an integer"),
        ("integer", float("nan"), "is an integer"),
        ("integer", 2**63, "does not fit 64 bits"),
        ("integer", {}, "is an integer"),
        ("number", "cheap", "holds 'cheap'"),
        ("number", False, "is a number"),
        ("number", "nan", "not a finite number"),
        ("number", float("inf"), "not a finite number"),
        ("number", 10**400, "is a number"),
        ("boolean", 1, "write true or false"),
        ("boolean", "yes", "write true or false"),
        ("date", "31.01.2024", "write ISO 8601"),
        ("date", "2024-02-30", "write ISO 8601"),
        ("date", True, "write ISO 8601"),
        ("date", 10**20, "write ISO 8601"),
        ("date", 86_400, "holds 86400, which would be a moment in January 1970; write ISO 8601"),
        ("date", 0, "January 1970"),
        ("date", -1, "January 1970"),
        ("date", 202403, "January 1970"),
        ("date", 20241305, "write ISO 8601"),
        ("date", {"a": 1}, "write ISO 8601"),
        ("stored", b"\x00", "stored as JSON"),
        ("stored", {"a": float("nan")}, "stored as JSON"),
        ("stored", {"a": "\ud800"}, "stored as JSON"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_field(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(DocumentError, match=words) as caught:
        check_value("the field", kind, value)

    assert "'the field'" in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@example("keyword", [""])
@given(st.sampled_from(FIELD_TYPES), json_values | st.dates() | st.datetimes() | st.binary())
def test_any_value_fits_or_is_refused(kind: Any, value: Any) -> None:
    with contextlib.suppress(DocumentError):
        checked = check_value("f", kind, value)

        assert check_value("f", kind, checked) == checked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024", dt.datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-03", dt.datetime(2024, 3, 1, tzinfo=UTC)),
        (" 2024-03-05 ", dt.datetime(2024, 3, 5, tzinfo=UTC)),
        ("20240305", dt.datetime(2024, 3, 5, tzinfo=UTC)),
        ("2024-03-05T06:07", dt.datetime(2024, 3, 5, 6, 7, tzinfo=UTC)),
        ("2024-03-05T06:07:08Z", dt.datetime(2024, 3, 5, 6, 7, 8, tzinfo=UTC)),
        ("2024-03-05T06:07:08+02:00", dt.datetime(2024, 3, 5, 4, 7, 8, tzinfo=UTC)),
        ("2024-03-05T06:07:08.123999Z", dt.datetime(2024, 3, 5, 6, 7, 8, 123_000, tzinfo=UTC)),
        (dt.date(2024, 3, 5), dt.datetime(2024, 3, 5, tzinfo=UTC)),
        (dt.datetime(2024, 3, 5, 6), dt.datetime(2024, 3, 5, 6, tzinfo=UTC)),
        (1709624400, dt.datetime(2024, 3, 5, 7, 40, tzinfo=UTC)),
        ("1709624400", dt.datetime(2024, 3, 5, 7, 40, tzinfo=UTC)),
        (1709624400.5, dt.datetime(2024, 3, 5, 7, 40, 0, 500_000, tzinfo=UTC)),
        ("1709624400.5", dt.datetime(2024, 3, 5, 7, 40, 0, 500_000, tzinfo=UTC)),
        (1709624400_123, dt.datetime(2024, 3, 5, 7, 40, 0, 123_000, tzinfo=UTC)),
        (1709624400_123_456, dt.datetime(2024, 3, 5, 7, 40, 0, 123_000, tzinfo=UTC)),
        (1709624400_123_456_789, dt.datetime(2024, 3, 5, 7, 40, 0, 123_000, tzinfo=UTC)),
        (-86_400 * 366, dt.datetime(1968, 12, 31, tzinfo=UTC)),
        (20240305, dt.datetime(2024, 3, 5, tzinfo=UTC)),
        (1999, dt.datetime(1999, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_utc(value: Any, expected: dt.datetime) -> None:
    assert to_instant(value) == expected


@pytest.mark.parametrize("value", ["", "soon", "24", "2024-13", "2024-1", True, "2024-01-31T25:00"])
def test_what_is_no_date_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        to_instant(value)


def test_an_instant_has_one_spelling() -> None:
    spellings = {to_iso(to_instant(text)) for text in ("2024-03-05", "2024-03-05T00:00Z", "2024-03-05T02:00+02:00")}

    assert spellings == {"2024-03-05"}


@given(
    st.lists(st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30)), min_size=2, max_size=2)
)
def test_spellings_sort_as_the_instants_do(moments: list[dt.datetime]) -> None:
    instant, other = (to_instant(moment) for moment in moments)

    assert (to_iso(instant) < to_iso(other), to_iso(instant) == to_iso(other)) == (instant < other, instant == other)


@given(st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30)))
def test_a_spelling_is_read_back_as_the_same_instant(moment: dt.datetime) -> None:
    instant = to_instant(moment)

    assert to_instant(to_iso(instant)) == instant
