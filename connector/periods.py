"""Dates that people write are periods: a day is a day, from its first instant to the next day's, in UTC."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from connector.values import to_instant, to_iso

LAST = "9999-12-31T23:59:59.999Z"
PARTIAL = re.compile(r"\s*\d{4}(-\d{2}(-\d{2})?)?\s*")


def find_period(value: Any) -> tuple[str, str | None] | None:
    """(start, start of the next) of a year, month or day, as a cluster has instants; None where the value is an
    instant.

    The next is None where years end. Raises ValueError for what is no date."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = value.isoformat()
    if not isinstance(value, str) or not PARTIAL.fullmatch(value):
        return None
    start = to_instant(value)
    parts = value.strip().count("-")
    try:
        match parts:
            case 0:
                end = start.replace(year=start.year + 1)
            case 1:
                end = (start + dt.timedelta(days=31)).replace(day=1)
            case _:
                end = start + dt.timedelta(days=1)
    except (ValueError, OverflowError):
        return to_iso(start), None
    return to_iso(start), to_iso(end)


def within(value: Any) -> dict[str, str] | None:
    """The bounds of a period, as a range has them; None where the value is an instant."""
    period = find_period(value)
    if period is None:
        return None
    start, end = period
    return {"gte": start, "lt": end} if end else {"gte": start, "lte": LAST}


def to_bounds(bounds: Mapping[str, Any], *, spell: Callable[[Any], str] | None = None) -> dict[str, Any]:
    """The bounds of a range with each period in them as the instant that is meant: `> day` begins after the day.

    `spell` writes an instant as the field has it; in milliseconds where it is not given."""
    spell = spell or (lambda value: to_iso(to_instant(value)))
    found: dict[str, Any] = {}
    for name, value in bounds.items():
        period = find_period(value)
        if period is None:
            bound, instant = name, spell(value)
        else:
            bound, instant = _at_border(name, *period)
        if bound in found:  # both > and >= were given
            instant = max(found[bound], instant) if bound[0] == "g" else min(found[bound], instant)
        found[bound] = instant
    return found


def _at_border(name: str, start: str, end: str | None) -> tuple[str, str]:
    match name:
        case "gt":
            return ("gte", end) if end else ("gt", LAST)
        case "lte":
            return ("lt", end) if end else ("lte", LAST)
        case _:
            return name, start
