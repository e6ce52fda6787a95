"""Names of columns -> names that every index can have."""

from __future__ import annotations

import re
from collections.abc import Iterable

from connector.schema import RESERVED_FIELDS, WORDS_SUFFIX, is_field_name

FORBIDDEN = re.compile("[.`*^\x00-\x1f\ud800-\udfff]+")


def name_fields(columns: Iterable[str]) -> dict[str, str]:
    """The field of each column: the column's own name where an index can have it, else the nearest one that is free."""
    columns = list(columns)
    fields = {column: column for column in columns if is_field_name(column) and not FORBIDDEN.search(column)}
    for column in columns:
        if column not in fields:
            fields[column] = _free_name(column, set(fields.values()))
    return fields


def _free_name(column: str, taken: set[str]) -> str:
    plain = FORBIDDEN.sub("_", column).strip().strip("_") or "column"
    if plain in RESERVED_FIELDS or plain.endswith(WORDS_SUFFIX):
        plain += "_"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain.rstrip('_')}_{number}"
    return name
