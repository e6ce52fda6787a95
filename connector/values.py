"""Values of typed fields: checked, and spelled as they are written to a cluster; dates as sources have them."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from connector.errors import DocumentError
from connector.layout import AnyFieldType

MAX_KEYWORD_BYTES = 32_766  # Lucene's limit for one term
EPOCH_DIGITS = re.compile(r"[+-]?\d{9,}(\.\d+)?")
# up to which size a number counts in so many parts of a second; each ends in the year 5138
EPOCH_UNITS = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000))
JANUARY_1970_S = 31 * 86_400
SECOND_DIGITS = re.compile(r":\d\d[.,](\d{4,9})")  # more than milliseconds


class JanuaryOf1970(ValueError):
    """A number that was taken for a date and is too small to be one."""


def check_value(name: str, kind: AnyFieldType, value: Any) -> Any:
    """The value as it is written to the cluster; raises DocumentError where it does not fit its type."""
    if isinstance(value, list | tuple) and kind not in ("keyword[]", "stored"):
        if len(value) > 1:
            raise DocumentError(f"field {name!r} is a {kind} but holds {len(value)} values (use keyword[] for lists)")
        value = value[0] if value else None
    if value is None or value == "" or value == []:
        return None
    if kind in ("stored", "engine"):
        return _stored(name, value)
    if kind == "keyword[]":
        values = value if isinstance(value, list | tuple) else [value]
        return [_keyword(name, keyword) for keyword in values if keyword is not None] or None
    return _CHECKS[kind](name, value)


def to_instant(value: Any) -> dt.datetime:
    """A date, datetime, ISO 8601 text or a number as an aware UTC datetime; raises ValueError.

    Partial dates start their period: "2024" is 2024-01-01T00:00:00Z. A time without a zone is UTC.
    A number is a year (2024), a day (20240131), or time since 1970 whose unit its size tells: seconds up to 11 digits,
    then milliseconds, microseconds, nanoseconds. What would lie in January 1970 is none of these."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a date")
    if isinstance(value, int | float):
        moment = _from_number(value)
    elif isinstance(value, dt.datetime):
        moment = value
    elif isinstance(value, dt.date):
        moment = dt.datetime(value.year, value.month, value.day)
    else:
        text = str(value).strip()
        if EPOCH_DIGITS.fullmatch(text):
            return to_instant(float(text) if "." in text else int(text))
        if len(text) == 4:
            text += "-01-01"
        elif len(text) == 7:
            text += "-01"
        moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    moment = moment.astimezone(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _from_number(value: float) -> dt.datetime:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a date")
    if value == int(value) and 1_000 <= value <= 2_999:
        return dt.datetime(int(value), 1, 1)
    if value == int(value) and 19_000_101 <= value <= 29_991_231:
        return dt.datetime.strptime(str(int(value)), "%Y%m%d")
    per_second = next((count for limit, count in EPOCH_UNITS if abs(value) < limit), None)
    if per_second is None:
        raise ValueError(f"{value} is too far away")
    if abs(value / per_second) < JANUARY_1970_S:
        raise JanuaryOf1970(f"{value} would be a moment in January 1970")
    return dt.datetime.fromtimestamp(value / per_second, tz=dt.UTC)


def to_iso(moment: dt.datetime) -> str:
    """The one spelling of an instant in a cluster: a plain date at midnight, else milliseconds and Z."""
    if (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        return moment.date().isoformat()  # strftime does not pad years before 1000
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _stored(name: str, value: Any) -> Any:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DocumentError(f"field {name!r} is stored as JSON, which its value is not: {error}") from error
    return value


def _keyword(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise DocumentError(f"field {name!r} is a keyword but holds {type(value).__name__}")
    text = str(value)
    if len(text.encode()) > MAX_KEYWORD_BYTES:
        raise DocumentError(
            f"field {name!r} is a keyword of {len(text.encode())} bytes; at most {MAX_KEYWORD_BYTES} fit"
        )
    return text


def _integer(name: str, value: Any) -> int:
    try:
        number = _read_number(value) if isinstance(value, str) and not value.strip().lstrip("+-").isdigit() else value
        whole = int(number)
        if isinstance(value, bool) or whole != (number if not isinstance(number, str) else whole):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise DocumentError(f"field {name!r} is an integer but holds {value!r}") from error
    if not -(2**63) <= whole < 2**63:
        raise DocumentError(f"field {name!r} holds {value!r}, which does not fit 64 bits")
    return whole


def _read_number(value: Any) -> float:
    """Raises ValueError for what only Python takes for a number, too: 1_000."""
    if isinstance(value, str) and "_" in value:
        raise ValueError
    return float(value)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = _read_number(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DocumentError(f"field {name!r} is a number but holds {value!r}") from error
    if not math.isfinite(number):
        raise DocumentError(f"field {name!r} holds {value!r}, which is not a finite number")
    return number


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return text == "true"
    raise DocumentError(f"field {name!r} is a boolean but holds {value!r}; write true or false")


def _date(name: str, value: Any, *, spell: Callable[[Any], str]) -> str:
    try:
        return spell(value)
    except (ValueError, OverflowError, OSError) as error:
        doubt = ", which would be a moment in January 1970" if isinstance(error, JanuaryOf1970) else ""
        raise DocumentError(
            f"field {name!r} is a date but holds {value!r}{doubt}; write ISO 8601, for example 2024-01-31 or "
            "2024-01-31T12:00:00Z, or seconds or milliseconds since 1970"
        ) from None


def to_nanos(value: Any) -> str:
    """The spelling of an instant with as many digits of a second as were given, nine at most; raises ValueError."""
    moment, digits = to_instant(value), SECOND_DIGITS.search(str(value))
    if digits is None:
        return to_iso(moment)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}.{digits[1]}Z"


# the types of dates, each with the spelling of an instant in a filter
DATES: Mapping[str, Callable[[Any], str]] = {"date": lambda value: to_iso(to_instant(value)), "date_nanos": to_nanos}
_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "keyword": _keyword,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": partial(_date, spell=DATES["date"]),
    "date_nanos": partial(_date, spell=to_nanos),
}
