"""Which column of a source becomes what, and why: what the user said first, else what the values look like."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from connector.errors import SettingsError, SourceError
from connector.ingest.field_names import name_fields
from connector.ingest.survey import Column, Kind, Survey, show
from connector.schema import Fields, FieldType
from connector.settings.sections import FieldSettings
from connector.values import to_instant, to_iso

Use = Literal["id", "text", "metadata", "left out"]
ID_NAMES = ("_id", "id", "doc_id", "path")
TITLE_NAMES = ("title", "name", "heading", "subject")
TEXT_NAMES = ("text", "body", "content", "description", "abstract")
TEXT_BOOST = 1.0
LONG_TEXT_CHARS = 120  # a column of texts that are longer on average is prose, not a label
LONGEST_LABEL_CHARS = 1_000
MAX_FIELDS = 500  # the engines take 1,000 in an index, ours and subfields included
WORDS: dict[Kind, str] = {
    "boolean": "true or false",
    "integer": "whole numbers",
    "number": "numbers",
    "date": "dates",
    "moment": "dates",
    "text": "texts",
    "list": "lists",
    "object": "objects",
}
SINGLE: frozenset[Kind] = frozenset({"boolean", "integer", "number", "date", "text"})


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """What becomes of a column: its field and type, how that was found out, its number of values and some of them."""

    column: str
    use: Use
    field: str | None
    type: str | None
    why: str
    rows: int
    samples: tuple[str, ...] = ()

    @property
    def renamed(self) -> bool:
        return self.field is not None and self.use != "id" and self.field != self.column


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields of a new index, and what becomes of each column of the source."""

    fields: Fields
    columns: tuple[PlannedColumn, ...]
    rows: int
    unreadable: int = 0


def plan_fields(survey: Survey, given: FieldSettings, *, id_field: str | None = None) -> Plan:
    """The plan for a source; `id_field` is the one that the source itself names.

    Raises SettingsError where no id or no text can be found, and SourceError where there is no row to find them in."""
    if not survey.rows and not (given.text and (given.id or id_field)):
        raise SourceError(_no_rows(survey))
    id_column, id_why = _find_id(survey, given, id_field)
    others = {name: column for name, column in survey.columns.items() if name != id_column}
    text = _find_text(survey, others, given)
    metadata = _find_metadata(survey, [name for name in others if name not in text], given)
    used = [*text, *(name for name, (kind, _) in metadata.items() if kind is not None)]
    names = name_fields(used)
    fields = Fields(
        text={names[name]: boost for name, (boost, _) in text.items()},
        metadata={names[name]: kind for name, (kind, _) in metadata.items() if kind is not None},
        id=id_column,
        columns={field: column for column, field in names.items() if field != column},
    )
    planned = [_planned(survey, id_column, "id", id_column, None, id_why)]
    planned += [
        _planned(survey, name, "text", names[name], f"boost {boost:g}", why) for name, (boost, why) in text.items()
    ]
    planned += [
        _planned(survey, name, "metadata" if kind else "left out", names.get(name) if kind else None, kind, why)
        for name, (kind, why) in metadata.items()
    ]
    return Plan(fields, tuple(planned), survey.rows, survey.unreadable)


def describe_existing(survey: Survey, fields: Fields) -> Plan:
    """What becomes of the columns in an index that is there already and keeps its fields."""
    used: dict[str, tuple[Use, str, str | None]] = {fields.id: ("id", fields.id, None)}
    used |= {fields.column(name): ("text", name, f"boost {boost:g}") for name, boost in fields.text.items()}
    used |= {fields.column(name): ("metadata", name, kind) for name, kind in fields.metadata.items()}
    planned = [_planned(survey, column, *use, "the index has it") for column, use in used.items()]
    why = "the index has no such field; ingest into a new one to have it"
    planned += [
        _planned(survey, name, "left out", None, None, why)
        for name in survey.columns
        if name not in used_columns(fields)
    ]
    return Plan(fields, tuple(planned), survey.rows, survey.unreadable)


def _planned(survey: Survey, column: str, use: Use, field: str | None, type: str | None, why: str) -> PlannedColumn:
    found = survey.columns.get(column, Column(column))
    if field is not None and use != "id" and field != column:
        why += f"; called {field}, since no field can be called {column!r}"
    return PlannedColumn(column, use, field, type, why, found.values, tuple(found.samples))


def _find_id(survey: Survey, given: FieldSettings, id_field: str | None) -> tuple[str, str]:
    if given.id:
        if survey.rows and given.id not in survey.columns:
            raise SettingsError(f"no row has the id column {given.id!r}; {_instead(given.id, survey)}")
        return given.id, "given"
    if id_field:
        return id_field, "the source's own"
    for name in ID_NAMES:
        if name in survey.columns:
            return name, "a usual name of ids"
    raise SettingsError(
        f"cannot tell which column is the id: there is none called {', '.join(ID_NAMES)}; name it: --id COLUMN "
        f"(fields.id). {_listed(survey)}"
    )


def _find_text(survey: Survey, others: Mapping[str, Column], given: FieldSettings) -> dict[str, tuple[float, str]]:
    if given.text:
        if survey.rows and not any(name in survey.columns for name in given.text):
            wrong = next(iter(given.text))
            raise SettingsError(f"no row has the text column {wrong!r}; {_instead(wrong, survey)}")
        return {name: (boost, _why_given(None, name, survey)) for name, boost in given.text.items()}
    found: dict[str, tuple[float, str]] = {}
    titles = (name for name in TITLE_NAMES if name in others and _mostly(others[name], SINGLE))
    if title := next(titles, None):
        found[title] = (TEXT_BOOST, "a usual name of titles")
    for name, column in others.items():
        if name not in found and name not in given.metadata and (why := _why_prose(column)):
            found[name] = (TEXT_BOOST, why)
    if not found:
        raise SettingsError(
            f"cannot tell which columns are text: none has a usual name ({', '.join((*TITLE_NAMES, *TEXT_NAMES))}) "
            f"or long texts; name them: --text COLUMN (fields.text). {_listed(survey)}"
        )
    return found


def _why_prose(column: Column) -> str | None:
    if not column.values:
        return None
    if column.name in TEXT_NAMES and _mostly(column, SINGLE | {"list"}):
        return "a usual name of texts"
    if not _mostly(column, SINGLE) or "text" not in column.kinds:
        return None
    average = column.chars / column.values
    if average > LONG_TEXT_CHARS:
        return f"texts of {average:,.0f} characters on average"
    return f"texts of up to {column.longest:,} characters" if column.longest > LONGEST_LABEL_CHARS else None


def _mostly(column: Column, kinds: frozenset[Kind]) -> bool:
    """Whether more values are of these kinds than are not: a few others are their rows' faults, not the column's."""
    return 2 * sum(count for kind, count in column.kinds.items() if kind in kinds) > column.values


def _find_metadata(
    survey: Survey, names: Sequence[str], given: FieldSettings
) -> dict[str, tuple[FieldType | None, str]]:
    found: dict[str, tuple[FieldType | None, str]] = {
        name: (kind, _why_given(kind, name, survey)) for name, kind in given.metadata.items()
    }
    room = MAX_FIELDS
    for name in names:
        column = survey.columns[name]
        if name in found:
            continue
        if given.metadata:
            found[name] = None, "not named in --metadata (fields.metadata)"
        elif not column.values:
            found[name] = None, f"it cannot be read ({column.fault})" if column.faults else "no row has a value in it"
        elif room == 0:
            found[name] = None, f"an index takes {MAX_FIELDS} fields; choose with --metadata"
        else:
            found[name] = _guess_type(set(column.kinds)), _why_type(column)
            room -= 1
    return found


def _guess_type(kinds: set[Kind]) -> FieldType:
    for kind in ("boolean", "integer", "date"):
        if kinds == {kind}:
            return kind
    if kinds <= {"integer", "number"}:
        return "number"
    if kinds <= {"date", "moment"}:
        return "date"
    if kinds <= SINGLE:
        return "keyword"
    return "keyword[]" if kinds <= SINGLE | {"list"} else "stored"


def _why_given(kind: FieldType | None, name: str, survey: Survey) -> str:
    """Of numbers that are to be dates, what the first one is taken for; of a column that is not there, the nearest."""
    column = survey.columns.get(name)
    numbers: tuple[Kind, ...] = ("integer", "number")
    first = next((column.firsts[number] for number in numbers if number in column.firsts), None) if column else None
    if column is None or kind != "date" or first is None:
        return "given" if column or not survey.rows else f"given; no row has it; {_instead(name, survey)}"
    try:
        return f"given; {show(first[0])} is taken for {to_iso(to_instant(first[0]))}"
    except (ValueError, OverflowError, OSError):
        return "given"  # the row will say what is wrong


def _why_type(column: Column) -> str:
    by_word: dict[str, int] = {}
    for kind, count in column.kinds.items():
        by_word[WORDS[kind]] = by_word.get(WORDS[kind], 0) + count
    most = max(by_word, key=lambda word: by_word[word])
    if len(by_word) == 1:
        return f"all its values are {most}" if most != "texts" else "texts"
    parts = [f"{count:,} {word}" for word, count in sorted(by_word.items(), key=lambda pair: -pair[1])]
    rare = min(column.kinds, key=lambda kind: column.kinds[kind])
    value, origin = column.firsts[rare]
    return f"{', '.join(parts)} ({show(value)!r} at {origin})"


def _listed(survey: Survey) -> str:
    return f"The source has: {', '.join(survey.columns)}"


def _no_rows(survey: Survey) -> str:
    if survey.unreadable:
        return f"none of the {survey.unreadable:,} rows of the source could be read; the first: {survey.first_fault}"
    return "the source holds no rows, so there is nothing to make an index of"


def _instead(name: str, survey: Survey) -> str:
    near = difflib.get_close_matches(name, survey.columns, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the source has: {', '.join(survey.columns)}"


def dotted_columns(given: FieldSettings) -> tuple[str, ...]:
    """The columns that were named with a dot, which may be paths into nested objects."""
    return tuple(name for name in (given.id or "", *(given.text or ()), *(given.metadata or ())) if "." in name)


def empty_columns(plan: Plan) -> dict[str, int]:
    """Notes of the columns that were named and that no row has a value in."""
    named = (column for column in plan.columns if column.use != "left out" and not column.rows and plan.rows)
    return {f"no row has a value in the column {column.column!r} ({column.use}: {column.why})": 1 for column in named}


def used_columns(fields: Fields) -> frozenset[str]:
    """The columns that fields are filled from; of a path into nested objects, its first part."""
    columns = {fields.id, *map(fields.column, fields.text), *map(fields.column, fields.metadata)}
    return frozenset(columns | {column.split(".")[0] for column in columns})
